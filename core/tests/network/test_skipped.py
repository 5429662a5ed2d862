"""Masked and skipped running give the same answer."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

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
