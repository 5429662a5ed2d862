"""A run of seconds on digits: the twin is in the checkpoints, to the bit."""

import shutil
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from dyn_spnet.recipes import RECIPES
from dyncore import from_pretrained
from dyncore.backbones import ResNetConfig
from dyncore.gating import ShortRangeRouterConfig
from dyncore.recipes import Annealing, Phase
from dyncore.training import RunOptions, train

BACKBONE = ResNetConfig(
    block="basic", depths=(1, 1, 1), widths=(4, 6, 8), stem="cifar", shortcut="pad"
)
TWIN = "objective.parts.progress.twin."


@pytest.fixture(autouse=True)
def _on_cpu(monkeypatch):
    """On the CPU, where runs are repeatable; accelerate forgets the runs of other tests."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_resumed_run_has_the_same_twin(tmp_path):
    recipe = RECIPES["spnet-resnet20-digits-b0.6"]
    network = replace(recipe.network, backbone=BACKBONE, router=ShortRangeRouterConfig(dim=4))
    phase = Phase(name="train", epochs=2.0, annealing=Annealing())
    recipe = replace(recipe, network=network, phases=(phase,))
    whole = train(recipe, RunOptions(output=str(tmp_path / "whole"), keep_checkpoints=9))
    _, first, last = sorted((whole.folder / "checkpoints").iterdir())
    killed = tmp_path / "again" / whole.folder.name
    shutil.copytree(whole.folder, killed)
    shutil.rmtree(killed / "checkpoints" / last.name)
    shutil.rmtree(killed / "model")
    train(recipe, RunOptions(output=str(tmp_path / "again"), keep_checkpoints=9, resume="auto"))
    expected = load_file(last / "training.safetensors")
    found = load_file(killed / "checkpoints" / last.name / "training.safetensors")
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []

    twin = {name for name in expected if name.startswith(TWIN)}
    before = load_file(first / "training.safetensors")
    assert f"{TWIN}exits.classify.0.weight" in twin
    weight = f"{TWIN}model.backbone.fc.weight"
    assert not torch.equal(expected[weight], before[weight])
    assert not torch.equal(expected[weight], expected["model.backbone.fc.weight"])
    saved = from_pretrained(whole.model).state_dict()
    assert torch.equal(saved["backbone.fc.weight"], expected["model.backbone.fc.weight"])
