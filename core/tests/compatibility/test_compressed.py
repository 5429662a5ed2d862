"""Quantised, pruned and sharded networks.

Their modules are called as they are; an engine, which packs weights, refuses what is no plain
weight. Networks with masks or other weights are saved before they get them, or afterwards.
"""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.utils import prune

import dyncore
from dyncore import DynamicNetwork, Engine, run_skipped
from dyncore.kernels import install_kernels


def pruned(network: DynamicNetwork) -> DynamicNetwork:
    network = copy.deepcopy(network)
    for module in list(network.backbone.modules()):
        if isinstance(module, nn.Conv2d):
            prune.l1_unstructured(module, "weight", amount=0.5)
    return network


@pytest.mark.situation("`torch.nn.utils.prune`: evaluation, `run_skipped`, an engine")
@pytest.mark.parametrize("name", ["blend", "n2-basic", "channels-basic"])
@torch.no_grad()
def test_a_pruned_network_is_that_of_the_masked_weights(networks, images, name):
    network, plain = pruned(networks[name]), copy.deepcopy(networks[name])
    for key, module in plain.backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(network.backbone.get_submodule(key).weight)
            assert (module.weight == 0).float().mean() >= 0.4
    expected = plain(images)
    for found in (network(images), run_skipped(network, images), Engine(network, images)(images)):
        torch.testing.assert_close(found.logits, expected.logits, rtol=0, atol=1e-9)
        assert found.path.on.equal(expected.path.on)


@pytest.mark.situation("`torch.nn.utils.prune`: training; masked weights stay zero")
@pytest.mark.parametrize("name", ["blend", "n2-basic"])
def test_a_pruned_network_trains(networks, images, name):
    network = pruned(networks[name]).train()
    install_kernels(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    convs = [path.layers[0].conv for block in network.backbone.blocks for path in block.paths]
    before = [conv.weight.detach().clone() for conv in convs]
    network(images).logits.square().mean().backward()
    optimiser.step()
    network(images)
    for conv, weight in zip(convs, before, strict=True):
        assert (weight == 0).any()
        assert (conv.weight[weight == 0] == 0).all()
    assert not all(map(torch.equal, [conv.weight for conv in convs], before))


@pytest.mark.situation("`torch.nn.utils.prune.remove`, then `save_pretrained`")
def test_what_is_pruned_for_good_is_saved(networks, images, tmp_path):
    network = pruned(networks["blend"]).float()
    for module in network.backbone.modules():
        if isinstance(module, nn.Conv2d):
            prune.remove(module, "weight")
    network.save_pretrained(tmp_path)
    loaded = dyncore.from_pretrained(tmp_path)
    assert (loaded.backbone.conv1.weight == 0).float().mean() >= 0.4
    torch.testing.assert_close(loaded(images.float()).logits, network(images.float()).logits)


class Doubled(Tensor):
    """Stands for another tensor, as torchao's and DTensor do."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Doubled":
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __tensor_flatten__(self):
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner, *_):
        return Doubled(inner["inner"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].inner)
        raise NotImplementedError(func)


@pytest.mark.situation(
    "an engine of quantised or sharded weights",
    refused="backbone.fc.weight is a …: an engine packs plain weights; build it from the network "
    "before it was quantised or sharded",
)
def test_an_engine_of_other_weights(networks, images):
    network = copy.deepcopy(networks["blend"])
    weight = Doubled(network.backbone.fc.weight.detach())
    network.backbone.fc.weight = nn.Parameter(weight, requires_grad=False)
    Engine(network, images)


@pytest.mark.situation("torchao: weights of 8 bits (`Int8WeightOnlyConfig`)")
@torch.no_grad()
def test_weights_of_eight_bits(networks, images):
    torchao = pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    network = copy.deepcopy(networks["blend"]).float()
    quantised = copy.deepcopy(network)
    torchao.quantize_(quantised, torchao.Int8WeightOnlyConfig())
    path = network(images.float()).path
    expected = network(images.float(), path=path).logits
    found = quantised(images.float(), path=path).logits
    assert not found.equal(expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02 * float(expected.abs().max()))
    with pytest.raises(ValueError, match="an engine packs plain weights"):
        Engine(quantised, images.float())


@pytest.fixture(scope="module")
def graphs() -> dict[str, list[float]]:
    """Of a process of its own: the shape checks of the tests cannot be exported."""
    pytest.importorskip("torchao", reason="torchao is not installed")
    script = Path(__file__).with_name("quantised.py")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def assert_about_the_same(error, largest, quantised, other_paths):
    assert 0 < error < 0.05 * largest
    assert quantised > 20
    assert other_paths == 0


@pytest.mark.situation("torchao: static quantisation of a static network (PT2E)")
def test_a_quantised_static_graph(graphs):
    assert_about_the_same(*graphs["static"])


@pytest.mark.situation(
    "the same of a gated network, but for routers and gates: "
    "`quantizer.set_module_name_qconfig(name, None)` for each of them"
)
@pytest.mark.parametrize("name", ["n2-basic", "channels-basic"])
def test_a_quantised_gated_graph(graphs, name):
    assert_about_the_same(*graphs[name])


@pytest.mark.situation(
    'the same of a network that blends, with `combine="additive"` in its configuration: '
    "in evaluation the same network"
)
def test_a_quantised_blend(graphs):
    assert_about_the_same(*graphs["blend"])


@pytest.fixture
def group():
    """A group of one process."""
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.mark.situation("FSDP2: `fully_shard` on stages and on the network, training and evaluation")
@pytest.mark.parametrize("name", ["blend", "n2-basic"])
def test_a_sharded_network_trains_as_it_does_alone(networks, images, name, group):
    from torch.distributed.fsdp import fully_shard

    alone, sharded = (copy.deepcopy(networks[name]).train() for _ in range(2))
    for stage in (sharded.backbone.layer1, sharded.backbone.layer2, sharded):
        fully_shard(stage, mesh=group)
    for network in (alone, sharded):
        output = network(images)
        (output.logits.square().mean() + output.path.weight.mean()).backward()
    gradients = {n: p.grad for n, p in sharded.named_parameters() if p.grad is not None}
    for key, parameter in alone.named_parameters():
        if parameter.grad is not None:
            found = gradients[key].full_tensor()
            torch.testing.assert_close(found, parameter.grad, msg=key)
    with torch.no_grad():
        found, expected = sharded.eval()(images), alone.eval()(images)
    torch.testing.assert_close(found.logits, expected.logits)


@pytest.mark.situation(
    "`save_pretrained` of sharded weights (FSDP2)",
    refused="backbone.bn1.bias is sharded: on every process, gather "
    "torch.distributed.checkpoint.state_dict.get_model_state_dict(model, "
    "options=StateDictOptions(full_state_dict=True)), and on one load that into "
    "DynamicNetwork(model.config, model.info) and save it",
)
def test_sharded_weights_are_not_saved(networks, tmp_path, group):
    from torch.distributed.fsdp import fully_shard

    network = copy.deepcopy(networks["blend"])
    fully_shard(network, mesh=group)
    try:
        network.save_pretrained(tmp_path)
    finally:
        assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, list[dict[str, dict[str, Tensor]]]]:
    """What two processes found, and where one of them saved."""
    folder, script = tmp_path_factory.mktemp("two"), Path(__file__).with_name("sharded.py")
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    assert [process.wait(300) for process in running] == [0, 0]
    return folder / "model", [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.situation("`DistributedDataParallel(static_graph=True)`, two processes")
def test_processes_have_the_gradients_of_one(two):
    _, found = two
    for process in found:
        torch.testing.assert_close(process["shared"], process["alone"])


@pytest.mark.situation("FSDP2, two processes: a training step")
def test_sharded_processes_have_the_gradients_of_one(two):
    _, found = two
    for process in found:
        assert any(gradient.any() for gradient in process["alone"].values())
        torch.testing.assert_close(process["sharded"], process["alone"])


@pytest.mark.situation("FSDP2, two processes: saving what is gathered as the refusal says")
def test_gathered_weights_are_saved(two):
    folder, found = two
    loaded = dyncore.from_pretrained(folder).state_dict()
    torch.testing.assert_close(dict(loaded), dict(found[0]["stepped"]))
