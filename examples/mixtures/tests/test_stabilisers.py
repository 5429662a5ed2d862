"""SP-Net's terms on blocks of two paths are its equations over all paths."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dyn_mixtures.recipes import RECIPES
from dyncore import DynamicNetwork, cost_table
from dyncore.backbones import ResNetConfig
from dyncore.data import Batch

BACKBONE = ResNetConfig(
    block="basic", depths=(2, 2, 1), widths=(4, 6, 8), stem="cifar", shortcut="pad"
)
BATCH, SIZE = 6, 12
RECIPE = RECIPES["dmnn-resnet20-n2-digits-b0.6-relational-slow-progress"]


@pytest.fixture
def model() -> DynamicNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DynamicNetwork(replace(RECIPE.network, backbone=BACKBONE)).double().train()


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
    return Batch(images, torch.arange(BATCH), torch.arange(BATCH))


@pytest.fixture
def noise(model) -> Tensor:
    return model.draw_noise(BATCH, torch.Generator().manual_seed(2))


@pytest.fixture
def progress(model):
    """The part, whose twin is the network as it was before a step changed its gates."""
    part = RECIPE.objective["progress"].build(model, cost_table(model, (3, SIZE, SIZE)))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for gate in model.gates.values():
            gate.head.weight += torch.randn(gate.head.weight.shape, generator=generator)
    return part.double().train()


def test_the_path_term_counts_the_paths_that_the_step_changed(model, batch, noise, progress):
    """``α Σ (v^t - v^d)²`` (Eq. 7) of hard decisions under one noise, α = 0.1."""
    earlier = copy.deepcopy(progress.twin.model)(batch.images, noise=noise).path
    output = model(batch.images, noise=noise)
    changed = 0
    for now, before in zip(output.path, earlier, strict=True):
        assert now.on.shape == (BATCH, 2)
        for image in range(BATCH):
            for path in range(2):
                changed += bool(now.on[image, path]) != bool(before.on[image, path])
    assert changed > 0
    assert progress(batch, output)["path"].item() == pytest.approx(0.1 * changed / BATCH)


def test_every_path_that_the_step_changed_teaches_its_gate(model, batch, noise, progress):
    """Its two logits get the gradient of the softmax through the hard decision."""
    earlier = copy.deepcopy(progress.twin.model)(batch.images, noise=noise).path
    output = model(batch.images, noise=noise)
    progress(batch, output)["path"].backward()
    changed = 0
    for gate, now, before in zip(model.gates.values(), output.path, earlier, strict=True):
        gradient = gate.head.weight.grad.unflatten(0, (2, 2))  # path, off or on
        for path in range(2):
            if (now.on[:, path] != before.on[:, path]).any():
                changed += 1
                assert gradient[path].abs().sum(1).gt(0).all()
    assert changed > 0


def test_the_twin_follows_every_path(model, progress):
    """``θᵗ = m θᵗ + (1 - m) θᵈ`` (Eq. 5) for the parameters of both paths of all blocks."""
    model.load_state_dict(progress.twin.model.state_dict())
    before = {name: p.clone() for name, p in progress.twin.model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    progress.after_step(model)
    moved = dict(progress.twin.model.named_parameters())
    assert moved.keys() == dict(model.named_parameters()).keys()
    for name, parameter in moved.items():
        torch.testing.assert_close(parameter, before[name] + 0.3)
