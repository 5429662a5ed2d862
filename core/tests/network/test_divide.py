"""A network whose blocks are split starts as the static network whose weights it is given."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from dyncore.blocks import Granularity
from dyncore.network import DynamicNetwork, divide


def split(static: DynamicNetwork, paths: int, **changes) -> DynamicNetwork:
    config = replace(static.config, granularity=Granularity(paths=paths), **changes)
    found = DynamicNetwork(config).double().eval()
    weights = divide(static.backbone.state_dict(), found.backbone)
    found.backbone.load_state_dict({n: weights[n] for n in found.backbone.state_dict()})
    return found


def test_all_paths_together_are_the_static_network(networks, images):
    static = networks["static"]
    found = split(static, 2)
    assert len(found.backbone.blocks[0].paths) == 2
    assert_close(found(images).logits, static(images).logits)


def test_in_training_uncorrelated_paths_keep_the_size_of_the_sum(networks):
    """Of a block whose two halves see independent noise."""
    torch.manual_seed(0)
    static = networks["static"]
    block, halves = static.backbone.blocks[0], split(static, 2).backbone.blocks[0].train()
    x = torch.randn(64, block.paths[0].layers[0].conv.in_channels, 16, 16).double()
    whole = block.train()(x)
    block.eval()
    ratio = (halves(x) - x.relu()).std() / (whole - x.relu()).std()
    assert 0.6 < ratio < 1.5


def test_paths_take_turns_by_the_size_of_channels(networks):
    static = networks["static"]
    (first, second) = split(static, 2).backbone.blocks[0].paths
    sizes = [path.layers[0].norm.weight.detach().abs() for path in (first, second)]
    assert (sizes[0] >= sizes[1]).all()
    together = torch.cat(sizes).sort().values
    own = static.backbone.blocks[0].paths[0].layers[0].norm.weight.detach().abs()
    assert_close(together, own.sort().values)


def test_a_frozen_split_network_takes_what_is_there(networks, images):
    static = networks["static"]
    kept = (True, False) * len(static.backbone.blocks)
    found = split(static, 2, frozen=kept)
    assert found(images).path.on[0].tolist() == list(kept)


def test_weights_that_fit_come_back_as_they_are(networks):
    for name in ("static", "n2-basic"):
        weights = networks[name].backbone.state_dict()
        assert divide(weights, networks[name].backbone).keys() == weights.keys()


def test_a_bottlenecks_paths_have_what_runs_between_their_own_channels(networks):
    """What the last convolution takes of each channel is dealt out once; copies take nothing."""
    network = networks["n3-bottleneck"]
    static = DynamicNetwork(
        replace(network.config, router=None, gate=None, granularity=Granularity())
    ).double()
    split = divide(static.backbone.state_dict(), network.backbone)
    whole, parts = static.backbone.state_dict(), [f"layer1.0.branches.{n}" for n in range(3)]
    last = whole["layer1.0.conv3.weight"].sum((1, 2, 3))
    assert_close(sum(split[f"{part}.conv3.weight"].sum((1, 2, 3)) for part in parts), last)
    middle = whole["layer1.0.conv2.weight"].flatten(2).norm(dim=2).flatten()
    for part in parts:
        width = split[f"{part}.conv1.weight"].shape[0]
        assert split[f"{part}.conv2.weight"].shape[:2] == (width, width)
        mine = split[f"{part}.conv2.weight"].flatten(2).norm(dim=2).flatten()
        assert all((middle - one).abs().min() < 1e-9 for one in mine)
        assert_close(split[f"{part}.bn3.bias"], whole["layer1.0.bn3.bias"] / 3)


def test_weights_of_other_blocks_are_refused(networks):
    with pytest.raises(ValueError, match="has no conv1 and bn1 to deal out"):
        divide({"conv1.weight": torch.ones(1)}, networks["n2-basic"].backbone)
