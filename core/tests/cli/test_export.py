"""``dyn export``."""

import re

import pytest
import torch

import dyncore
from dyncore.data import load_dataset

ort = pytest.importorskip("onnxruntime", reason="dyncore[export] is not installed")
pytest.importorskip("onnxscript", reason="dyncore[export] is not installed")
pytestmark = pytest.mark.skipif(torch.__version__ < "2.11", reason="export needs torch 2.11")


@torch.no_grad()
def test_a_static_subnet_answers_alike_on_its_calibration_images(dyn, trained, tmp_path):
    file = tmp_path / "subnet.onnx"
    ended = dyn(
        *("export", str(trained / "model"), "--format", "onnx", "--output", str(file)),
        *("--static-subnet", "--calibrate", "digits", "--calibration-images", "2000"),
    )
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("of 2 paths ")
    assert lines[1].startswith("on 359 other images this changes decisions for ")
    found = re.fullmatch(
        r"(\S+) ms per image here, batch 1, \d+ threads; "
        r"the static network, exported alike: (\S+) ms \((\S+)\)",
        lines[-2],
    )
    file_ms, static_ms, ratio = map(float, found.groups())
    assert ratio == pytest.approx(file_ms / static_ms, abs=0.02, rel=0.02)
    assert ("slower than the static network's" in ended.err) == (ratio > 1)
    assert lines[-1] == f"written: {file}"
    model = dyncore.from_pretrained(trained / "model")
    dataset = load_dataset("digits")
    images = dataset.preprocessing.normalize(dataset.train.images.float() / 255)
    logits, on, *_ = ort.InferenceSession(file).run(None, {"images": images.numpy()})
    expected = model(images)
    assert torch.from_numpy(on).equal(expected.path.on)
    torch.testing.assert_close(torch.from_numpy(logits), expected.logits, rtol=1e-4, atol=1e-5)
