"""An engine's profile: a cost table of times."""

import copy
from dataclasses import replace

import pytest
import torch

from dyncore import Engine, ExecutionPath, cost_table
from dyncore.cost import CostTable, Profile, read_profile
from dyncore.data import Batch
from dyncore.objectives import FlopsRatioConfig


@pytest.fixture(scope="module", params=["blend", "n2-basic", "channels-basic", "static"])
def profiled(request, networks) -> tuple:
    network = networks[request.param]
    example = torch.zeros(1, 3, 13, 16, dtype=torch.float64)
    return network, Engine(network, example, threads=1).profile()


def test_it_has_the_shape_of_the_networks_cost_table(profiled):
    network, profile = profiled
    table = cost_table(network, (3, 13, 16))
    assert profile.table.unit == "ns"
    for ours, macs in zip(profile.table.blocks, table.blocks, strict=True):
        assert ours.gated == macs.gated
        assert len(ours.paths) == len(macs.paths)
        assert [path.channels for path in ours.paths] == [path.channels for path in macs.paths]
        assert (ours.router > 0) == (macs.router > 0)


def test_time_grows_with_what_is_on(profiled):
    network, profile = profiled
    channels = network.channels_per_block
    times = []
    for value in (False, True):
        on = torch.full((1, sum(network.paths_per_block)), value)
        chosen = torch.full((1, sum(channels)), value) if sum(channels) else None
        path = ExecutionPath.of(on, network.paths_per_block, chosen, channels)
        times.append(int(profile.table.macs(path)))
    assert 0 < times[0] <= times[1] == profile.table.full


def test_saved_and_read_it_is_the_same(profiled, tmp_path):
    _, profile = profiled
    profile.save(tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == profile


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "", "[]", "{}", '{"table": 1}', '{"table": {}, "modules": []}']
)
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=r"other.json is no profile.*dyn bench"):
        read_profile(tmp_path / "other.json")


def slower(table: CostTable, first: int, others: int) -> CostTable:
    """Times that are multiples of MACs, of the first block by another factor."""
    blocks = [
        replace(
            block,
            paths=tuple(
                replace(path, layers=tuple((others if index else first) * n for n in path.layers))
                for path in block.paths
            ),
        )
        for index, block in enumerate(table.blocks)
    ]
    return replace(table, unit="ns", blocks=tuple(blocks))


def test_a_latency_budget_reads_the_times(networks, tmp_path, images):
    network = networks["blend"]
    macs = cost_table(network, (3, 13, 16))
    times = slower(macs, 7, 2)
    Profile("cpu", 1, 1, times, ()).save(tmp_path / "profile.json")
    config = FlopsRatioConfig(target=0.5, latency=str(tmp_path / "profile.json"))
    paths = network.paths_per_block
    on = torch.arange(sum(paths)).expand(6, -1) > 0
    output = network(images, path=ExecutionPath.of(on, paths, dtype=images.dtype))
    batch = Batch(images, torch.zeros(6, dtype=torch.long), torch.arange(6))
    term = config.build(network, macs)(batch, output)["flops"]
    share = (times.macs(output.path).double().mean() - times.always) / times.gated
    torch.testing.assert_close(term, (share - 0.5) ** 2, rtol=1e-6, atol=1e-9)
    by_macs = (macs.macs(output.path).double().mean() - macs.always) / macs.gated
    assert abs(share - by_macs) > 1e-3


def test_a_latency_budget_refuses_times_of_zero(networks, tmp_path):
    macs = cost_table(networks["blend"], (3, 13, 16))
    Profile("cpu", 1, 1, slower(macs, 0, 0), ()).save(tmp_path / "profile.json")
    config = FlopsRatioConfig(target=0.5, latency=str(tmp_path / "profile.json"))
    with pytest.raises(ValueError, match=r"gated paths take 0 ns, .* measure again"):
        config.build(networks["blend"], macs)


def test_a_latency_budget_refuses_another_networks_profile(networks, tmp_path, images):
    profile = Engine(networks["n2-basic"], images, threads=1).profile()
    profile.save(tmp_path / "profile.json")
    config = FlopsRatioConfig(target=0.5, latency=str(tmp_path / "profile.json"))
    with pytest.raises(ValueError, match=r"latency: .* is the profile of another network"):
        config.build(networks["blend"], cost_table(networks["blend"], (3, 13, 16)))


def test_paths_that_run_as_modules_are_named(networks, images):
    network = copy.deepcopy(networks["blend"])
    block = network.backbone.blocks[1]
    owner = block.paths[0].owner
    name = block.paths[0].names[0][1]
    channels = owner.get_submodule(name).num_features
    setattr(owner, name, torch.nn.GroupNorm(2, channels).double())
    engine = Engine(network, images, threads=1)
    assert engine.profile().modules == ("block 1 path 0",)
    with torch.no_grad():
        expected = network(images)
    torch.testing.assert_close(engine(images).logits, expected.logits, rtol=0, atol=1e-9)


def test_batch_must_be_positive(networks, images):
    with pytest.raises(ValueError, match="batch must be at least 1"):
        Engine(networks["static"], images, threads=1).profile(0)


def test_it_prints_its_unit(profiled):
    _, profile = profiled
    assert isinstance(profile, Profile)
    assert str(profile).startswith("ns for one 3×13×16 image\n")
