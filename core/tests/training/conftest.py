"""Runs of seconds: networks of two blocks, on digits."""

import gc
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import Tensor

from dyncore.backbones import ResNetConfig
from dyncore.gating import ShortRangeRouterConfig
from dyncore.recipes import SGD, Annealing, Cosine, Phase, Recipe, Steps, find_recipe
from dyncore.training import RunOptions, TrainingResult, train
from dyncore.training import _trainer as trainer_module

TINY = ResNetConfig(block="basic", depths=(1, 1), widths=(4, 8), stem="cifar", shortcut="pad")
WARM_UP = Phase(name="warm-up", epochs=0.6, paths="uniform", objective=("classification",))
ROUTED = Phase(name="train", epochs=1.4, schedule=Steps(milestones=(0.5, 1.0), gamma=0.2))
LAST = Phase(name="last", epochs=1.0, schedule=Cosine(), annealing=Annealing())


def static_recipe(**changes: Any) -> Recipe:
    """Five steps per epoch."""
    recipe = find_recipe("static-resnet20-digits")
    network = replace(recipe.network, backbone=TINY)
    settings = {
        "network": network,
        "batch_size": 240,
        "phases": (Phase(name="train", epochs=1.0),),
        "optimizer": SGD(learning_rate=0.05),
    }
    return replace(recipe, **settings | changes)


def vanilla_recipe(**changes: Any) -> Recipe:
    """Five steps per epoch; by default three phases, of 3, 7 and 5 steps."""
    recipe = find_recipe("vanilla-resnet20-digits-b0.5")
    network = replace(recipe.network, backbone=TINY, router=ShortRangeRouterConfig(dim=8))
    settings = {
        "network": network,
        "batch_size": 240,
        "phases": (WARM_UP, ROUTED, LAST),
        "optimizer": SGD(learning_rate=0.05),
    }
    return replace(recipe, **settings | changes)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def read_weights(result: TrainingResult) -> dict[str, Tensor]:
    return load_file(result.model / "model.safetensors")


@pytest.fixture(scope="session", autouse=True)
def _on_cpu() -> Iterator[None]:
    """On the CPU, where runs are repeatable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCELERATE_USE_CPU", "true")
        gc.freeze()  # each phase ends with a collection, which is slow in a process full of modules
        yield


@pytest.fixture(autouse=True)
def _every_step_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "DISPLAY_EVERY", 1)


@pytest.fixture(scope="session")
def static() -> Callable[..., Recipe]:
    return static_recipe


@pytest.fixture(scope="session")
def vanilla() -> Callable[..., Recipe]:
    return vanilla_recipe


@pytest.fixture(scope="session")
def rows() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads the metrics of a run's folder."""
    return read_rows


@pytest.fixture(scope="session")
def weights() -> Callable[[TrainingResult], dict[str, Tensor]]:
    """Reads the tensors of a run's saved model."""
    return read_weights


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, _on_cpu: None) -> TrainingResult:
    """The run of ``vanilla_recipe()`` with seed 0, all checkpoints kept. Copy it to change it."""
    output = tmp_path_factory.mktemp("finished")
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "DISPLAY_EVERY", 1)
        result = train(vanilla_recipe(), RunOptions(output=str(output), keep_checkpoints=99))
    AcceleratorState._reset_state(reset_partial_state=True)
    return result
