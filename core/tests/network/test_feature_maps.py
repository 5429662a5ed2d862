"""Maps of stages, for detectors and segmenters."""

import copy

import pytest
import torch

from dyncore.gating import ExecutionPath


@pytest.mark.situation(
    "`model.feature_maps(images, stages=…)`: the maps of stages, routed",
    under="Features for detectors and segmenters",
)
@torch.no_grad()
def test_routed_maps_are_those_that_the_network_sees(network, images):
    seen = {}
    network = copy.deepcopy(network)
    stages = network.backbone.stages
    for index, block in enumerate(network.backbone.blocks):
        block.register_forward_hook(lambda _m, _i, out, index=index: seen.update({index: out}))
    output = network(images)
    ends = [end for end in range(len(stages)) if stages[end] != (*stages, None)[end + 1]]
    maps, path = network.feature_maps(images)
    assert [m.shape for m in maps] == [seen[end].shape for end in ends]
    assert all(m.equal(seen[end]) for m, end in zip(maps, ends, strict=True))
    assert maps[-1].equal(output.features)
    assert path.on.equal(output.path.on)


@pytest.mark.situation("the same without routing", under="Features for detectors and segmenters")
@torch.no_grad()
def test_without_routing_every_path_is_on(network, images):
    x, maps = network.backbone.stem(images), []
    for block in network.backbone.blocks:
        x = block(x)
    maps, path = network.feature_maps(images, [-1], routed=False)
    torch.testing.assert_close(maps[0], x)
    assert path.on.all()


@torch.no_grad()
def test_stages_come_as_they_are_asked_for_and_later_ones_do_not_run(networks, images):
    network, ran = copy.deepcopy(networks["blend"]), []
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    all_maps, _ = network.feature_maps(images)
    (second, first), path = network.feature_maps(images, stages=(-1, 0))
    assert second.equal(all_maps[1])
    assert first.equal(all_maps[0])
    assert len(path) == 3
    ran.clear()
    maps, path = network.feature_maps(images, stages=[0])
    assert maps[0].equal(first)
    assert len(path) == 1
    assert "backbone.layer1" in ran
    assert not {"backbone.layer2", "backbone.fc", "routers.1"} & {*ran}


@torch.no_grad()
def test_a_path_can_be_forced(networks, images):
    network = networks["n2-basic"]
    on = torch.rand(len(images), sum(network.paths_per_block)) > 0.5
    path = ExecutionPath.of(on, network.paths_per_block, dtype=images.dtype)
    maps, ran = network.feature_maps(images, path=path)
    assert maps[-1].equal(network(images, path=path).features)
    assert ran.on.equal(on)


def test_decisions_and_maps_have_gradients(networks, images):
    network = copy.deepcopy(networks["blend"]).train()
    maps, path = network.feature_maps(images)
    (sum(m.square().mean() for m in maps) + path.weight.mean()).backward()
    assert all(p.grad.norm() > 0 for p in network.gates["2"].parameters())
    assert network.backbone.conv1.weight.grad.norm() > 0


@pytest.mark.parametrize("stages", [(), (2,), (0, -3)])
def test_a_stage_that_there_is_not_is_refused(networks, images, stages):
    with pytest.raises(ValueError, match=r"stages must be some of 0 to 1, not \["):
        networks["blend"].feature_maps(images, stages)
