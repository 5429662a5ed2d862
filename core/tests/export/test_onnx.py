"""ONNX files answer in ONNX Runtime as the network does in eager."""

import copy
import importlib.util
import json
from dataclasses import replace

import pytest
import torch

from dyncore.cost import cost_table
from dyncore.data import Preprocessing
from dyncore.export import ExportError, export_onnx, freeze_unused
from dyncore.export import _onnx as onnx_module

onnx = pytest.importorskip("onnx", reason="dyncore[export] is not installed")
ort = pytest.importorskip("onnxruntime", reason="dyncore[export] is not installed")
pytestmark = pytest.mark.skipif(torch.__version__ < "2.11", reason="export needs torch 2.11")


def run(file, images) -> dict[str, torch.Tensor]:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(None, {"images": images.numpy()})
    return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}


def nodes(file, kind: str) -> int:
    return sum(node.op_type == kind for node in onnx.load(file).graph.node)


@torch.no_grad()
def test_every_method(of_method, float_images, tmp_path, recwarn):
    """Logits within four times eager's own error, equal decisions, at batches of any size."""
    file = tmp_path / "model.onnx"
    found = export_onnx(of_method, float_images, file)
    assert not [warning for warning in recwarn if "training mode" in str(warning.message)]
    assert found.other_decisions == 0
    assert found.error <= 4 * found.eager_error
    exact = copy.deepcopy(of_method).double()
    for images in (float_images, float_images[:1], float_images[2:5]):
        answer, eager = run(file, images), of_method(images)
        expected = exact(images.double()).logits
        error = float((answer["logits"] - expected).abs().max())
        assert error <= max(4 * float((eager.logits - expected).abs().max()), found.eager_error)
        assert answer["on"].equal(eager.path.on)
        table = cost_table(of_method, tuple(images.shape[1:]))
        assert answer["macs"].equal(table.macs(eager.path))
        assert ("channel_on" in answer) == (eager.path.channel_on is not None)
        if eager.path.channel_on is not None:
            channels = [d.channels.on & d.on for d in eager.path if d.channels is not None]
            assert answer["channel_on"].equal(torch.cat(channels, dim=1))


@torch.no_grad()
def test_a_static_subnet_is_smaller_and_answers_alike(small, float_images, tmp_path, decide):
    network = small("blend")
    decide(network, 0, True)
    decide(network, 2, False)
    files = [tmp_path / "whole.onnx", tmp_path / "subnet.onnx"]
    subnet = freeze_unused(network, [float_images])
    export_onnx(network, float_images, files[0])
    export_onnx(subnet, float_images, files[1])
    whole, smaller = (run(file, float_images) for file in files)
    assert smaller["on"].equal(whole["on"])
    torch.testing.assert_close(smaller["logits"], whole["logits"], rtol=1e-5, atol=1e-6)
    assert nodes(files[0], "Conv") - nodes(files[1], "Conv") == 2
    assert files[1].stat().st_size < files[0].stat().st_size
    full, left = (cost_table(n, tuple(float_images.shape[1:])) for n in (network, subnet))
    saved = sum(block.router for block in full.blocks) - left.blocks[1].router
    assert torch.equal(whole["macs"] - smaller["macs"], torch.full((6,), saved))


def test_what_the_file_says_about_itself(small, float_images, tmp_path):
    network = small("static")
    preprocessing = Preprocessing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0), size=16, resize=18)
    classes = ("ant", "bee", "cat", "dog", "eel")
    network.info = replace(
        network.info, classes=classes, preprocessing=preprocessing, model="static-tiny"
    )
    file = tmp_path / "new" / "model.onnx"
    export_onnx(network, torch.randn(1, 3, 16, 16), file)
    metadata = ort.InferenceSession(file).get_modelmeta().custom_metadata_map
    said = {name: json.loads(value) for name, value in metadata.items()}
    assert said["classes"] == list(classes)
    assert said["preprocessing"] == {
        "mean": [0.1, 0.2, 0.3],
        "std": [1.0, 2.0, 3.0],
        "size": 16,
        "resize": 18,
    }
    assert said["input_size"] == [3, 16, 16]
    assert said["paths_per_block"] == [1, 1, 1]
    assert said["model"] == "static-tiny"
    assert [f.name for f in file.parent.iterdir()] == ["model.onnx"]


def test_a_file_that_answers_wrongly_is_not_written(small, float_images, tmp_path, monkeypatch):
    load = onnx_module.load_onnx

    def wrong(file):
        def answer(images):
            found = load(file)(images)
            return {**found, "logits": found["logits"] * 1.001}

        return answer

    monkeypatch.setattr(onnx_module, "load_onnx", wrong)
    with pytest.raises(ExportError, match="does not answer as the model does"):
        export_onnx(small("static"), float_images, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(small, float_images, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    with pytest.raises(ExportError, match=r"needs onnxscript; .*pip install 'dyncore\[export\]'"):
        export_onnx(small("static"), float_images, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, x: (n.train(), x, "model.onnx"), r"call model\.eval\(\) first"),
        (lambda n, x: (n, x.double(), "model.onnx"), r"images are torch\.float64 on cpu"),
        (lambda n, x: (n, x[:0], "model.onnx"), "images must be a batch of normalised"),
        (lambda n, x: (n, x, "model.pt2"), r"output must end in \.onnx, not 'model\.pt2'"),
        (lambda n, x: (n, x, ""), "output must end in"),
    ],
    ids=["training", "dtype", "empty", "suffix", "folder"],
)
def test_bad_input_is_refused_before_anything_is_written(
    small, float_images, tmp_path, change, message
):
    network, images, name = change(small("blend"), float_images)
    with pytest.raises(ValueError, match=message):
        export_onnx(network, images, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_images_of_another_size_than_the_preprocessing_gives(small, float_images, tmp_path):
    network = small("static")
    preprocessing = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=16)
    network.info = replace(network.info, preprocessing=preprocessing)
    with pytest.raises(ValueError, match="images are 13 x 16, but the model's preprocessing gives"):
        export_onnx(network, float_images, tmp_path / "model.onnx")
