"""AOTInductor packages answer as the network does, and without this project."""

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dyncore.cost import cost_table
from dyncore.export import ExportError, export_pt2

pytestmark = pytest.mark.skipif(torch.__version__ < "2.11", reason="export needs torch 2.11")
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")) is None,
    reason="AOTInductor needs a C++ compiler",
)

ALONE = """
import json, sys, torch
sys.modules["dyncore"] = None  # importing it fails
model = torch._inductor.aoti_load_package(sys.argv[1])
answer = model(torch.load(sys.argv[2], weights_only=True))
torch.save({**answer, "metadata": dict(model.get_metadata())}, sys.argv[3])
"""


@needs_compiler
@torch.no_grad()
def test_masked_without_this_project(networks, build_network, float_images, tmp_path):
    config = networks["blend"].config
    one_block = replace(config.backbone, depths=(1,), widths=(4,))  # compiling takes its time
    network = build_network(replace(config, backbone=one_block)).float()
    file, given, answered = (tmp_path / name for name in ("a.pt2", "images.pt", "answer.pt"))
    found = export_pt2(network, float_images, file)
    assert found.other_decisions == 0
    torch.save(float_images, given)
    command = [sys.executable, "-c", ALONE, *map(str, (file, given, answered))]
    subprocess.run(command, check=True, timeout=600)
    answer, expected = torch.load(answered, weights_only=True), network(float_images)
    torch.testing.assert_close(answer["logits"], expected.logits, rtol=1e-5, atol=1e-6)
    exact = copy.deepcopy(network).double()(float_images.double()).logits
    torch.testing.assert_close(answer["logits"].double(), exact, rtol=0, atol=found.error)
    rounding = 16 * torch.finfo(torch.float32).eps * float(exact.abs().max())
    assert found.error <= rounding
    assert answer["on"].equal(expected.path.on)
    table = cost_table(network, tuple(float_images.shape[1:]))
    assert answer["macs"].equal(table.macs(expected.path))
    assert json.loads(answer["metadata"]["paths_per_block"]) == [1]
    assert {f.name for f in tmp_path.iterdir()} == {"a.pt2", "images.pt", "answer.pt"}


@pytest.mark.nightly
@needs_compiler
def test_skipping_takes_every_images_own_path(tmp_path):
    """One file answers for images that take both branches of its conditions."""
    script = Path(__file__).with_name("skipping.py")
    command = [sys.executable, str(script), "n2-basic", str(tmp_path / "skip.pt2")]
    done = subprocess.run(command, check=True, timeout=900, capture_output=True, text=True)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert all(row["same"] and row["error"] < 1e-5 for row in rows)
    taken = [set(column) for column in zip(*(row["path"] for row in rows), strict=True)]
    assert taken == [{True, False}] * 2


def test_no_compiler(small, float_images, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ExportError, match=r"needs a C\+\+ compiler.*'no-such-compiler'"):
        export_pt2(small("blend"), float_images, tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_is_checked(small, float_images, tmp_path):
    with pytest.raises(ValueError, match=r"output must end in \.pt2, not 'model\.onnx'"):
        export_pt2(small("blend"), float_images, tmp_path / "model.onnx")
