"""The loop's objective is the trainer's, and evaluation is, too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import dyncore
from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.parts import registered
from dyncore.recipes import plain_recipe
from dyncore.training import TrainingStep, draw_decisions, evaluate, objective

from .conftest import TINY

SEEN = Preprocessing(mean=(0.3, 0.4, 0.5), std=(0.2, 0.3, 0.4), size=8)
METHODS = [name for name in registered("methods") if name != "convnet_aig"]


def tiny(method: str) -> DynamicNetwork:
    """Two blocks of the method, of two paths where it splits them."""
    torch.manual_seed(0)
    found = registered("methods")[method]
    backbone = replace(TINY, depths=(2, 2)) if found.nested else TINY
    config = found.configure(backbone, min(found.paths), 10)
    return DynamicNetwork(config, ModelInfo(method=method, preprocessing=SEEN)).train()


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(12, 3, 8, 8, generator=generator)
    return Batch(images, torch.randint(10, (12,), generator=generator), torch.arange(12))


@pytest.mark.parametrize("method", METHODS)
def test_a_loops_step_is_the_trainers(method, batch):
    """The same terms, with the same noise, in every phase; and gradients for all that trains."""
    model = tiny(method)
    own = objective(model, **({} if model.config.gate is None else {"budget": 0.4}))
    step = TrainingStep(model, own.objective, cost_table(model, (3, 8, 8)), SEEN)
    for phase in own.phases:
        own.start(phase.name)
        torch.manual_seed(3)
        out = model(SEEN.normalize(batch.images))
        loss = own(SEEN.normalize(batch.images), batch.labels, out)
        forced = None if out.noise is not None or not model.gates else out.path.on
        forced = forced if phase.paths == "uniform" else None
        active = None if phase.objective is None else frozenset(phase.objective)
        expected = step(batch, out.noise, forced, active)
        assert_close(loss, expected.loss, rtol=1e-4, atol=1e-5)
        assert own.last.terms.keys() == expected.terms.keys()
        assert_close(own.last.rate, expected.rate)
        if phase.paths == "uniform":
            assert all(not p.requires_grad for p in model.gates.parameters())
            assert out.router_features == [None] * len(model.sites)
        loss.backward()
        trained = [p for p in (*model.parameters(), *own.parameters()) if p.requires_grad]
        assert trained
        assert all(p.grad is None or p.grad.isfinite().all() for p in trained)
        own.after_step()


def test_budgets_are_held_by_every_part_that_has_one():
    for method in METHODS:
        model = tiny(method)
        if model.config.gate is not None:
            targets = {part.target for part in objective(model, 0.35).parts.values()} - {None}
            assert targets == {0.35}
    with pytest.raises(ValueError, match="static has no budget"):
        objective(tiny("static"), 0.5)


def test_in_training_it_draws_and_in_evaluation_it_does_not(batch):
    model = tiny("vanilla")
    images = SEEN.normalize(batch.images)
    assert model(images).noise is None
    objective(model)
    noisy = model(images)
    assert noisy.noise is not None
    assert not torch.equal(noisy.noise, model(images).noise)
    given = model.draw_noise(12, torch.Generator().manual_seed(0))
    assert torch.equal(model(images, noise=given).noise, given)
    assert model.eval()(images).noise is None


def test_progress_anneals_and_opens():
    model = tiny("vanilla")
    own = objective(model, recipe="vanilla-resnet20-cifar10-b0.6-short+opening")
    assert own.parts["rate"].target == 0.6
    own.set_progress(0.0)
    hot = model.gates["0"].temperature.item()
    assert own.parts["rate"].target == 1.0
    own.set_progress(1.0)
    assert model.gates["0"].temperature.item() < hot
    assert own.parts["rate"].target == 0.6
    with pytest.raises(ValueError, match="progress is a share"):
        own.set_progress(3.0)


def test_phases_are_chosen_by_name():
    own = objective(tiny("rdinet"))
    assert [phase.name for phase in own.phases] == ["warm-up", "train"]
    assert own.phase.name == "train"
    with pytest.raises(ValueError, match="there is no phase 'main': there are warm-up, train"):
        own.start("main")


def test_drawn_paths_are_those_of_the_trainers_warm_up(batch):
    model = tiny("rdinet")
    phase = plain_recipe("rdinet").phases[0]
    where = {"seed": 0, "step": 0, "batch": 4000, "share": slice(0, 4000)}
    _, on = draw_decisions(model, phase, **where)
    assert_close(on.double().mean(0), torch.full((2,), 0.5).double(), rtol=0, atol=0.05)


def test_what_has_no_objective_is_refused(batch):
    model = tiny("vanilla")
    model.info = ModelInfo()
    with pytest.raises(ValueError, match="does not say which method it is of"):
        objective(model)
    model.info = ModelInfo(method="vanilla")
    with pytest.raises(ValueError, match="does not say how large its images are"):
        objective(model)
    assert objective(model, size=8).phase.name == "train"


def test_evaluation_of_a_loops_loader_is_that_of_ours(batch):
    model = tiny("vanilla")
    halves = [
        Batch(*(part[rows] for part in (batch.images, batch.labels, batch.index)))
        for rows in (slice(0, 7), slice(7, 12))
    ]
    loop = [(SEEN.normalize(half.images), half.labels) for half in halves]
    ours, theirs = evaluate(model, halves), dyncore.evaluate(model, loop)
    assert ours.metrics() == theirs.metrics()
    assert np.array_equal(ours.path, theirs.path)
    assert np.array_equal(theirs.label, batch.labels.numpy())
    assert not model.training
    with pytest.raises(ValueError, match="there are no images to evaluate"):
        evaluate(model, [])


def test_a_network_that_was_made_dynamic_has_its_methods_objective():
    from torchvision.models import resnet18

    image = torch.randn(2, 3, 32, 32)
    model = dyncore.make_dynamic(resnet18(num_classes=3), "rdinet", example_input=image).train()
    own = objective(model, budget=0.5)
    loss = own(image, torch.tensor([0, 2]), model(image))
    loss.backward()
    assert model.gates["0"].head.weight.grad.abs().sum() > 0
    assert own.last.terms.keys() >= {"classification", "rate"}


def test_a_part_reads_pixels_in_their_own_range(batch):
    """RDI-Net's histograms: of what the loop normalised, as it was."""
    own = objective(tiny("rdinet"))
    pixels = own._step[0].preprocessing.denormalize(SEEN.normalize(batch.images))
    assert_close(pixels, batch.images)
    other = replace(SEEN, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert objective(tiny("rdinet"), preprocessing=other)._step[0].preprocessing == other
