"""Targets that open, routers that teach only themselves, norms that are measured anew."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.testing import assert_close

from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.network import from_pretrained
from dyncore.objectives import ExecutionRateConfig, FlopsRatioConfig, TeacherConfig
from dyncore.recipes import MEANS, Phase
from dyncore.training import RunOptions, parse_arguments, train
from dyncore.training import _update as update_module
from dyncore.training._recalibrate import recalibrate
from dyncore.training._trainer import Trainer

PREPROCESSING = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), size=13)


@pytest.mark.parametrize("config", [ExecutionRateConfig, FlopsRatioConfig])
def test_an_open_target_is_a_higher_one(networks, images, config):
    model = networks["blend"]
    table, output = cost_table(model, (3, 13, 16)), model(images, relaxed=True)
    batch = Batch(images, torch.zeros(6, dtype=torch.long), torch.arange(6))
    opening, higher, own = (config(target=t).build(model, table) for t in (0.2, 0.6, 0.2))
    opening.open(0.5)  # 0.2 + 0.5 (1 - 0.2)
    assert_close(opening(batch, output), higher(batch, output))
    opening.open(0.0)
    assert_close(opening(batch, output), own(batch, output))


def test_targets_fall_over_their_share_of_the_phase(vanilla, tmp_path, monkeypatch):
    """Ten steps, of which the first four are open."""
    targets = []
    step = update_module.Updater.step

    def noted(updater) -> None:
        targets.append(updater._bare.objective.parts["rate"].target)
        step(updater)

    monkeypatch.setattr(update_module.Updater, "step", noted)
    recipe = vanilla(phases=(Phase(name="train", epochs=2.0, opening=0.4),))
    Trainer(recipe, RunOptions(output=str(tmp_path))).run()
    assert targets == pytest.approx([1.0, 0.875, 0.75, 0.625] + [0.5] * 6)


def test_detached_routers_teach_only_themselves(networks, images):
    for detached in (True, False):
        model = copy.deepcopy(networks["blend"]).train()
        model.detached = detached
        model(images).path.weight.sum().backward()
        taught = [p for p in model.backbone.parameters() if p.grad is not None and p.grad.any()]
        assert bool(taught) is not detached
        assert all(parameter.grad is not None for parameter in model.routers.parameters())


def test_a_recipe_says_that_routers_are_detached(vanilla, tmp_path):
    for detached in (True, False):
        recipe = vanilla(detached_routers=detached)
        assert Trainer(recipe, RunOptions(output=str(tmp_path))).model.detached is detached


@pytest.mark.parametrize("name", ["blend", "n2-basic"])
def test_norms_are_measured_anew_on_hard_paths(networks, images, name):
    """The means over all batches of what norms were given, noted by hooks on a copy."""
    model = copy.deepcopy(networks[name]).train()
    labels, index = torch.zeros(3, dtype=torch.long), torch.arange(3)
    batches = [Batch(half, labels, index) for half in images.split(3)]
    twin = copy.deepcopy(model).eval()
    seen: dict[str, list[torch.Tensor]] = {}
    for key, norm in twin.backbone.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.train()
            norm.register_forward_pre_hook(
                lambda _, given, key=key: seen.setdefault(key, []).append(given[0])
            )
    for batch in batches:
        twin(PREPROCESSING.normalize(batch.images), relaxed=False)
    routers = copy.deepcopy(model.routers.state_dict())
    recalibrate(model, batches, PREPROCESSING)
    for key, given in seen.items():
        norm = model.backbone.get_submodule(key)
        values = torch.stack([x.transpose(0, 1).flatten(1) for x in given])
        assert_close(norm.running_mean, values.mean(2).mean(0))
        assert_close(norm.running_var, values.var(2).mean(0))
        assert norm.momentum == 0.1
    assert len(seen) > 4
    assert model.training
    for key, tensor in model.routers.state_dict().items():
        assert torch.equal(tensor, routers[key])


def test_a_recipe_measures_norms_at_its_end(vanilla, tmp_path):
    """All else of the two runs is the same, so what differs is the norms' statistics."""
    phases = (Phase(name="train", epochs=1.0),)
    states = []
    for batches in (0, 2):
        recipe = vanilla(phases=phases, recalibrated=batches)
        trainer = Trainer(recipe, RunOptions(output=str(tmp_path / str(batches))))
        trainer.run()
        states.append(trainer.model.state_dict())
    for key, before in states[0].items():
        new = key.startswith("backbone") and ("running" in key or key.endswith("tracked"))
        assert torch.equal(before, states[1][key]) is not new, key


def test_all_means_together_train(tmp_path):
    """Half an epoch of a network that listens to another one and takes one of two paths."""
    tiny = ("--network.backbone.depths", "1", "2", "--network.backbone.widths", "4", "8")
    usual = (*tiny, "--batch-size", "240", "--epochs", "0.5")
    teacher = parse_arguments("static-resnet20-digits", usual, prog="test")
    trained = train(teacher.recipe, RunOptions(epochs=0.2, output=str(tmp_path)))
    AcceleratorState._reset_state(reset_partial_state=True)
    name = "vanilla-resnet20-digits-b0.5" + "".join(f"+{m}" for m in MEANS if "book" not in m)
    recipe = parse_arguments(f"{name}+codebook2", usual, prog="test").recipe
    part = TeacherConfig(model=str(trained.model))
    recipe = replace(recipe, objective={**recipe.objective, "teacher": part})
    done = train(recipe, RunOptions(epochs=1.0, output=str(tmp_path), init=str(trained.model)))
    rows = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    terms = [{key for key in row if key.startswith("train/")} for row in rows if "phase" in row]
    taught = {"train/classification", "train/full", "train/taught", "train/teacher"}
    assert taught <= terms[0] | terms[-1]
    assert "train/flops" in terms[-1]
    assert done.evaluation.metrics()["distinct_paths"] <= 2
    assert from_pretrained(done.model).config == recipe.network
