"""Masked and skipped running give the same answer."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from dyncore import run_skipped
from dyncore.gating import ExecutionPath

IMAGES = 3


def forced(network, table: torch.Tensor) -> ExecutionPath:
    """Path whose columns are all paths, then all gated channels."""
    paths, channels = network.paths_per_block, network.channels_per_block
    on, channel_on = table.split([sum(paths), sum(channels)], dim=1)
    if not sum(channels):
        return ExecutionPath.of(on, paths, dtype=torch.float64)
    return ExecutionPath.of(on, paths, channel_on, channels, dtype=torch.float64)


def columns(network) -> int:
    return sum(network.paths_per_block) + sum(network.channels_per_block)


def assert_same_logits(masked, skipped):
    torch.testing.assert_close(masked.logits, skipped.logits, rtol=0, atol=1e-9)


def test_with_their_own_decisions(network, images):
    masked, skipped = network(images), run_skipped(network, images)

    assert_same_logits(masked, skipped)
    for a, b in zip(masked.path, skipped.path, strict=True):
        assert a.on.equal(b.on)
        torch.testing.assert_close(a.weight, b.weight, rtol=0, atol=1e-9)
        assert (a.channels is None) == (b.channels is None)
    if masked.path.channel_on is not None:
        assert masked.path.channel_on.equal(skipped.path.channel_on)


def test_these_decisions_differ_between_images(gated_network, images):
    """Otherwise this file would prove little."""
    path = run_skipped(gated_network, images).path

    assert len(path.on.unique(dim=0)) >= 2
    decided = [d.on for index, d in enumerate(path) if str(index) in gated_network.gates]
    assert 0.25 < torch.cat(decided, dim=1).double().mean() < 0.75
    if path.channel_on is not None:
        assert 0.25 < path.channel_on.double().mean() < 0.75


@given(data=st.data())
def test_with_random_forced_paths(network, images, data):
    table = torch.from_numpy(data.draw(arrays(bool, (IMAGES, columns(network)))))
    path = forced(network, table)

    masked = network(images[:IMAGES], path=path)

    assert_same_logits(masked, run_skipped(network, images[:IMAGES], path=path))


@pytest.mark.parametrize("on", [True, False])
def test_with_everything_forced(network, images, on):
    path = forced(network, torch.full((len(images), columns(network)), on))

    masked = network(images, path=path)

    assert_same_logits(masked, run_skipped(network, images, path=path))


@pytest.mark.parametrize(
    "name", ["channels-basic", "channels-bottleneck", "salience", "n2-salience"]
)
def test_with_forced_saliences_that_scale(networks, images, name):
    network = networks[name]
    path = network(images.flip(0)).path

    masked = network(images, path=path)

    assert not path.weight.eq(path.on).all()
    assert_same_logits(masked, run_skipped(network, images, path=path))


def test_one_image(network, images):
    for image in images.split(1):
        assert_same_logits(network(image), run_skipped(network, image))


def test_skipped_needs_evaluation(networks, images):
    network = copy.deepcopy(networks["additive"]).train()

    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        run_skipped(network, images)


def test_skipped_needs_no_gradient(networks, images):
    assert not run_skipped(networks["additive"], images).logits.requires_grad


@pytest.mark.parametrize("name", ["blend", "additive", "n3-bottleneck", "n2-mobilenetv2"])
def test_unchosen_paths_see_no_image(networks, images, name):
    network = networks[name]
    seen, hooks = {}, []
    for block, module in enumerate(network.backbone.blocks):
        for n, path in enumerate(module.paths):
            hook = path.layers[0].conv.register_forward_hook(
                lambda _, arguments, __, key=(block, n): seen.update({key: len(arguments[0])})
            )
            hooks.append(hook)

    path = run_skipped(network, images).path

    for hook in hooks:
        hook.remove()
    chosen = {
        (block, n): int(decision.on[:, n].sum())
        for block, decision in enumerate(path)
        for n in range(decision.on.shape[1])
        if decision.on[:, n].any()
    }
    assert seen == chosen


class Bare(nn.Module):
    """A layer inside of another, which says nothing about it: no padding, no channels."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@torch.no_grad()
def test_layers_of_a_block_without_a_shortcut_need_not_say_their_geometry(networks, images):
    """Its output has the shape that its paths give, also where a forced path runs none."""
    network = copy.deepcopy(networks["n2-mobilenetv2"])
    convs = [name for name, m in network.backbone.named_modules() if isinstance(m, nn.Conv2d)]
    for name in convs:
        parent, _, own = name.rpartition(".")
        layer = network.backbone.get_submodule(name)
        setattr(network.backbone.get_submodule(parent), own, Bare(layer))
    nothing = network(images).path.map(torch.zeros_like)
    for path in (None, nothing):
        found, expected = run_skipped(network, images, path=path), network(images, path=path)
        torch.testing.assert_close(found.logits, expected.logits)
