"""The subnet answers as the network does on its calibration images, and runs less."""

import copy
from functools import partial

import pytest
import torch

from dyncore.cost import cost_table, count_macs
from dyncore.export import changes, fixed_paths, freeze_unused
from dyncore.gating import (
    BlindRouter,
    ContextRouterConfig,
    ExecutionPath,
    StraightThroughGateConfig,
)
from dyncore.network import DynamicConfig, DynamicNetwork, run_skipped


def same_answers(found, expected) -> bool:
    """Bit by bit, but for the channels of blocks that are off: the subnet decides none there."""
    pairs = [(found.logits, expected.logits), (found.path.weight, expected.path.weight)]
    pairs.append((found.path.on, expected.path.on))
    for one, other in zip(found.path, expected.path, strict=True):
        if one.channels is not None:
            pairs.append((one.channels.on & one.on, other.channels.on & other.on))
    return all(torch.equal(a, b) for a, b in pairs)


def deciding(network: DynamicNetwork) -> tuple[list[int], list[int]]:
    """Blocks whose router sees something, and blocks about which images decide."""
    sees = [s.index for s in network.sites if s.router and not isinstance(s.router, BlindRouter)]
    return sees, [site.index for site in network.sites if not site.frozen]


@pytest.mark.parametrize("count", [1, 2, 6])
def test_equal_on_the_calibration_images(network, images, count):
    batches = images[:count].split(2)
    subnet = freeze_unused(network, batches)
    assert all(same_answers(subnet(batch), network(batch)) for batch in batches)
    found = changes(network, subnet, batches)
    assert (found.images, found.decisions, found.predictions) == (count, 0, 0)


def test_what_is_frozen(gated_network, images):
    """By a loop over images and paths."""
    subnet = freeze_unused(gated_network, [images[:1], images[1:2]])
    paths = [gated_network(image).path for image in images[:2].split(1)]
    for index, (block, fixed) in enumerate(
        zip(gated_network.backbone.blocks, fixed_paths(subnet), strict=True)
    ):
        expected: list[bool | None] = []
        for n in range(len(block.paths)):
            weights = {path[index].weight[0, n].item() for path in paths}
            alike = weights == {0.0} or weights == {1.0}
            expected.append(bool(weights.pop()) if alike else None)
        if block.downsample is None and True not in expected:
            expected = [None] * len(expected)
        assert list(fixed) == expected


def test_removed_paths_hold_no_parameters(gated_network, images):
    subnet = freeze_unused(gated_network, [images[:1]])
    removed = sum(
        parameter.numel()
        for block, fixed in zip(gated_network.backbone.blocks, fixed_paths(subnet), strict=True)
        for path, decided in zip(block.paths, fixed, strict=True)
        if decided is False
        for layer in path.layers
        for module in (layer.conv, layer.norm)
        for parameter in module.parameters()
    )
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(subnet.backbone) == count(gated_network.backbone) - removed


def test_the_table_counts_what_runs(gated_network, images):
    """Masked, so every path that is left."""
    subnet = freeze_unused(gated_network, [images[:1]])
    table = cost_table(subnet, tuple(images.shape[1:]))
    full = cost_table(gated_network, tuple(images.shape[1:]))
    for left, whole, fixed in zip(table.blocks, full.blocks, fixed_paths(subnet), strict=True):
        totals = [0 if f is False else p.total for p, f in zip(whole.paths, fixed, strict=True)]
        assert [path.total for path in left.paths] == totals
    assert count_macs(partial(subnet, images[:1])) == table.full
    assert table.static == full.static


def test_the_network_is_left_alone(gated_network, images):
    before = copy.deepcopy(gated_network.state_dict())
    expected = gated_network(images)
    freeze_unused(gated_network, [images[:1]])
    assert before.keys() == gated_network.state_dict().keys()
    assert same_answers(gated_network(images), expected)


def test_a_router_without_history_goes_with_its_gate(small, float_images, decide):
    network = small("blend")
    decide(network, 0, True)
    decide(network, 2, False)
    subnet = freeze_unused(network, [float_images])
    assert fixed_paths(subnet) == ((True,), (None,), (False,))
    assert deciding(subnet) == ([1], [1])


def test_a_router_that_a_later_gate_reads_stays(small, float_images, decide):
    network = small("n2-basic")
    decide(network, 0, True, False)
    decide(network, 2, False, False)
    subnet = freeze_unused(network, [float_images])
    assert fixed_paths(subnet) == ((True, False), (None, None), (False, False))
    assert deciding(subnet) == ([0, 1], [1])


def test_without_the_previous_feature_it_goes(networks, build_network, images, decide):
    config: DynamicConfig = networks["n2-basic"].config
    network = build_network(
        DynamicConfig(
            backbone=config.backbone,
            num_classes=5,
            granularity=config.granularity,
            router=ContextRouterConfig(dim=6, previous=False),
            gate=StraightThroughGateConfig(),
        )
    )
    decide(network, 0, True, False)
    subnet = freeze_unused(network, [images])
    assert deciding(subnet) == ([1, 2], [1, 2])


def test_changes_are_counted_image_by_image(gated_network, images):
    subnet = freeze_unused(gated_network, [images[:1]])
    decisions = predictions = 0
    for image in images.split(1):
        found, expected = subnet(image), gated_network(image)
        for one, other in zip(found.path, expected.path, strict=True):
            columns = [(one.weight, other.weight)]
            if one.channels is not None:
                columns.append((one.channels.weight * one.on, other.channels.weight * other.on))
            if any(not torch.equal(a, b) for a, b in columns):
                decisions += 1
                break
        predictions += int(found.logits.argmax()) != int(expected.logits.argmax())
    found = changes(gated_network, subnet, images.split(1))
    assert found.decisions == decisions / len(images) > 0
    assert found.predictions == predictions / len(images)


def test_a_subnet_is_a_network(gated_network, images):
    """It skips what the masked form weighs with 0, and its decisions can be replayed."""
    subnet = freeze_unused(gated_network, [images[:1]])
    masked = subnet(images)
    skipped = run_skipped(subnet, images)
    assert skipped.path.on.equal(masked.path.on)
    torch.testing.assert_close(skipped.logits, masked.logits, rtol=0, atol=1e-9)
    torch.testing.assert_close(
        subnet(images, path=masked.path).logits, masked.logits, rtol=0, atol=1e-9
    )


def test_what_is_fixed_cannot_be_forced_otherwise(small, float_images, decide):
    network = small("blend")
    decide(network, 0, True)
    decide(network, 2, False)
    subnet = freeze_unused(network, [float_images])
    for block in (0, 2):
        on = subnet(float_images).path.on.clone()
        on[0, block] ^= True
        path = ExecutionPath.of(on, subnet.paths_per_block)
        with pytest.raises(ValueError, match=f"about block {block}, which is how the network"):
            subnet(float_images, path=path)


def test_nothing_to_calibrate_on(networks, images):
    network = networks["blend"]
    with pytest.raises(ValueError, match="no calibration images"):
        freeze_unused(network, [])
    subnet = freeze_unused(network, [images])
    with pytest.raises(ValueError, match="no images to compare"):
        changes(network, subnet, [])


def test_training_mode_is_refused(networks, images):
    network = copy.deepcopy(networks["blend"]).train()
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        freeze_unused(network, [images])
