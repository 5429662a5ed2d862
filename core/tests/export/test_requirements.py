"""A torch that is too old is named."""

import pytest
import torch

from dyncore.export import ExportError, export_onnx, export_pt2


@pytest.mark.parametrize(("export", "name"), [(export_onnx, "a.onnx"), (export_pt2, "a.pt2")])
def test_an_old_torch(small, float_images, tmp_path, monkeypatch, export, name):
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.10.1"))
    with pytest.raises(ExportError, match=r"export needs torch 2\.11 or newer, not 2\.10\.1"):
        export(small("static"), float_images, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
