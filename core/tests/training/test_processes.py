"""Two processes train as one, and ``accelerate launch`` starts a method's ``train.py``."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from dyncore.training import Evaluation
from dyncore.training import _trainer as trainer_module

RUN = "vanilla-resnet20-digits-b0.5"
TINY = ["--network.backbone.depths", "1", "1", "--network.backbone.widths", "4", "8"]

SCRIPT = f"""
import sys
from dataclasses import replace

from torch import nn

from dyncore.backbones import ResNetConfig
from dyncore.recipes import Phase, find_recipe
from dyncore.training import RunOptions, _trainer

_trainer.DISPLAY_EVERY = 1
recipe = find_recipe("{RUN}")
backbone = ResNetConfig(block="basic", depths=(1, 1), widths=(4, 8), stem="cifar")
phases = (
    Phase(name="warm-up", epochs=0.6, paths="uniform", objective=("classification",)),
    Phase(name="train", epochs=0.6),
)
recipe = replace(
    recipe, network=replace(recipe.network, backbone=backbone), phases=phases, batch_size=240
)
trainer = _trainer.Trainer(recipe, RunOptions(output=sys.argv[1]))
for module in trainer.model.modules():
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        module.eval()
        module.train = lambda mode=True: None  # the statistics of a batch are each process's own
trainer.run()
"""


def launch(module: str, *arguments: str) -> None:
    """Run ``python -m module``; its output becomes the test's if it fails."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folders(tmp_path_factory, _on_cpu) -> tuple[Path, Path]:
    """The same run, by one process and by two."""
    output = tmp_path_factory.mktemp("processes")
    script = output / "script.py"
    script.write_text(SCRIPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(script), str(output / "one")])
        patch.setattr(trainer_module, "DISPLAY_EVERY", 1)  # the script sets it; this undoes it
        runpy.run_path(str(script), run_name="__main__")
    two = ("--standalone", "--nproc_per_node", "2", str(script), str(output / "two"))
    launch("torch.distributed.run", *two)
    return output / "one" / RUN, output / "two" / RUN


def test_two_processes_end_with_the_weights_of_one(folders):
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in folders)
    assert_close(two, one, rtol=1e-4, atol=1e-5)


def test_two_processes_log_what_one_logs(folders, rows):
    one, two = map(rows, folders)
    assert [row["step"] for row in one] == [1, 2, 3, 4, 5, 5, 6, 6]
    for ours, theirs in zip(two, one, strict=True):
        if "phase" in theirs:
            for exact in ("step", "phase", "epoch", "learning_rate"):
                assert ours.pop(exact) == theirs.pop(exact)
            assert ours == pytest.approx(theirs, rel=1e-4)


def test_two_processes_evaluate_every_image_once(folders):
    one, two = (Evaluation.load(folder / "evaluation.parquet") for folder in folders)
    np.testing.assert_array_equal(two.label, one.label)
    # An odd number of images; the weights differ by rounding, which may turn single decisions.
    assert len(two.label) == 359
    assert (two.prediction == one.prediction).mean() > 0.98
    assert (two.macs == one.macs).mean() > 0.98


def test_accelerate_launch_runs_a_train_script(tmp_path, rows):
    script = tmp_path / "train.py"
    script.write_text("from dyncore.cli import train_main\n\ntrain_main('vanilla')\n")
    launch(
        "accelerate.commands.launch",
        *("--cpu", "--num_processes", "1", str(script), RUN, *TINY),
        *("--epochs", "1", "--output", str(tmp_path / "runs"), "--name", RUN),
    )
    assert [row["step"] for row in rows(tmp_path / "runs" / RUN)] == [10, 20, 22, 22]
    assert (tmp_path / "runs" / RUN / "model" / "model.safetensors").exists()
