"""Two processes train every method as one does: same losses, weights, momenta and teachers."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

import dyncore

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("trained_by_processes.py")
LAST = "step-00000020"
TOLERANCE = 1e-9
RECIPES: tuple[str, ...] = runpy.run_path(str(SCRIPT))["RECIPES"]
TERMS = {
    "vanilla": {"classification", "rate"},
    "rdinet": {"classification", "rate", "rank"},
    "cdb": {"classification", "rate", "flops", "category"},
    "dmnn": {"classification", "rate", "flops", "category"},
    "spnet": {"classification", "rate", "exits", "path", "logits", "evolution"},
    "lcnet": {"classification", "flops"},
    "nested": {"classification", "nested", "distilled"},
}
"""What the routed phase of a method must have compared."""


def launch(*command: str) -> None:
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """All runs by one process with a batch of 24, and by two with 12 each."""
    output = tmp_path_factory.mktemp("processes")
    launch(str(SCRIPT), str(output / "one"))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    launch(*torchrun, str(SCRIPT), str(output / "two"))
    return output / "one", output / "two"


def tensors(folder: Path, step: str, file: str) -> dict[str, Tensor]:
    return load_file(folder / "checkpoints" / step / f"{file}.safetensors")


def steps(folder: Path) -> list[dict[str, float]]:
    """The metrics of the training steps."""
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if "phase" in row]


def largest_difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    assert found.keys() == expected.keys()
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


def test_every_method_is_compared():
    assert {recipe.partition("-")[0] for recipe in RECIPES} == set(dyncore.list_methods())


@pytest.mark.nightly
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_weights_momenta_and_teachers_are_the_same(folders, recipe):
    one, two = (folder / recipe for folder in folders)
    for file in ("training", "optimizer"):
        expected, found = (tensors(folder, LAST, file) for folder in (one, two))
        assert largest_difference(found, expected) < TOLERANCE
    end, start = (tensors(one, step, "training") for step in (LAST, "step-00000000"))
    assert largest_difference(end, start) > 0.01  # it did train


@pytest.mark.nightly
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_losses_rates_and_learning_rates_are_the_same(folders, recipe):
    one, two = (steps(folder / recipe) for folder in folders)
    assert [row["step"] for row in one] == list(range(1, 21))
    for found, expected in zip(two, one, strict=True):
        assert found.keys() == expected.keys()
        for exact in ("step", "phase", "epoch", "learning_rate"):
            assert found.pop(exact) == expected.pop(exact)
        assert found == pytest.approx(expected, rel=0, abs=TOLERANCE)
    method = recipe.partition("-")[0]
    assert {f"train/{term}" for term in TERMS.get(method, ())} <= one[-1].keys()


@pytest.mark.nightly
def test_a_warm_up_is_compared(folders):
    rows = steps(folders[0] / "rdinet-resnet20-digits-b0.6")
    assert [row["phase"] for row in rows] == ["warm-up"] * 6 + ["train"] * 14
    assert 0.3 < rows[0]["train/execution_rate"] < 0.7


@pytest.mark.nightly
@pytest.mark.parametrize("processes", [1, 2])
def test_micro_batches_change_neither_weights_nor_learning_rates(folders, processes):
    whole = folders[0] / RECIPES[0]
    parts = folders[processes - 1] / "accumulated" / RECIPES[0]
    for file in ("training", "optimizer"):
        found, expected = (tensors(folder, LAST, file) for folder in (parts, whole))
        assert largest_difference(found, expected) < TOLERANCE
    rates = [[row["learning_rate"] for row in steps(folder)] for folder in (parts, whole)]
    assert rates[0] == rates[1]
    assert set(rates[0]) == {0.1, 0.1 * 0.1}


def test_nothing_looks_for_unused_parameters():
    """A parameter without a gradient is a mistake of ours, not something to search for."""
    word = "find_unused" + "_parameters"
    sources = [
        file
        for folder in ("core/src", "methods", "examples", "benchmarks", "tests")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert len(sources) > 100
    assert [str(file) for file in sources if word in file.read_text(encoding="utf-8")] == []
