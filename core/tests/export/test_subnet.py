"""The subnet answers as the network does on its calibration images, and runs less."""

import copy
from functools import partial

import pytest
import torch

from dyncore.cost import cost_table, count_macs
from dyncore.export import Subnet, changes, freeze_unused
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.network import DynamicConfig


def same_answers(found, expected) -> bool:
    """Bit by bit, but for the channels of blocks that are off: the subnet decides none there."""
    pairs = [(found.logits, expected.logits), (found.path.weight, expected.path.weight)]
    pairs.append((found.path.on, expected.path.on))
    for one, other in zip(found.path, expected.path, strict=True):
        if one.channel_on is not None:
            pairs.append((one.channel_on & one.on, other.channel_on & other.on))
    return all(torch.equal(a, b) for a, b in pairs)


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
        zip(gated_network.backbone.blocks, subnet.fixed, strict=True)
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
        for block, fixed in zip(gated_network.backbone.blocks, subnet.fixed, strict=True)
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
    left = sum(
        path.total
        for block, fixed in zip(subnet.table.blocks, subnet.fixed, strict=True)
        if block.gated
        for path, decided in zip(block.paths, fixed, strict=True)
        if decided is not False
    )
    assert count_macs(partial(subnet, images[:1])) == subnet.table.always + left
    full = cost_table(gated_network, tuple(images.shape[1:]))
    assert subnet.table.static == full.static


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
    assert subnet.fixed == ((True,), (None,), (False,))
    assert list(subnet.routers) == list(subnet.gates) == ["1"]


def test_a_router_that_a_later_gate_reads_stays(small, float_images, decide):
    network = small("n2-basic")
    decide(network, 0, True, False)
    decide(network, 2, False, False)
    subnet = freeze_unused(network, [float_images])
    assert subnet.fixed == ((True, False), (None, None), (False, False))
    assert (list(subnet.routers), list(subnet.gates)) == (["0", "1"], ["1"])


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
    assert list(subnet.routers) == list(subnet.gates) == ["1", "2"]


def test_changes_are_counted_image_by_image(gated_network, images):
    subnet = freeze_unused(gated_network, [images[:1]])
    decisions = predictions = 0
    for image in images.split(1):
        found, expected = subnet(image), gated_network(image)
        for one, other in zip(found.path, expected.path, strict=True):
            columns = [(one.weight, other.weight)]
            if one.channel_weight is not None:
                columns.append((one.channel_weight * one.on, other.channel_weight * other.on))
            if any(not torch.equal(a, b) for a, b in columns):
                decisions += 1
                break
        predictions += int(found.logits.argmax()) != int(expected.logits.argmax())
    found = changes(gated_network, subnet, images.split(1))
    assert found.decisions == decisions / len(images) > 0
    assert found.predictions == predictions / len(images)


def test_nothing_to_calibrate_on(networks, images):
    network = networks["blend"]
    with pytest.raises(ValueError, match="no calibration images"):
        freeze_unused(network, [])
    subnet = freeze_unused(network, [images])
    assert isinstance(subnet, Subnet)
    with pytest.raises(ValueError, match="no images to compare"):
        changes(network, subnet, [])


def test_training_mode_is_refused(networks, images):
    network = copy.deepcopy(networks["blend"]).train()
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        freeze_unused(network, [images])
