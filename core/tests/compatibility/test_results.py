"""Results, and the tools that look into them.

`Output`, `Decision` and what they hold are named tuples, `ExecutionPath` is a registered pytree:
torch and accelerate find the tensors in them.
"""

import copy
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.parallel import scatter_gather
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.flop_counter import FlopCounterMode

from dyncore import DynamicNetwork, cost_table
from dyncore.network import Output

KINDS = ["blend", "n2-basic", "channels-basic", "static"]


def tensors(output: Output) -> list[Tensor]:
    """Everything that an output of a network holds, by name."""
    found = [output.logits, output.images, output.features, output.noise]
    found += [*output.router_features, *output.pooled]
    for decision in output.path:
        found += [tensor for choice in decision.choices for tensor in choice]
        found += decision.training or ()
    return [tensor for tensor in found if tensor is not None]


def training_output(network: DynamicNetwork, images: Tensor) -> Output:
    network = copy.deepcopy(network).train()
    return network(images, noise=network.draw_noise(len(images)))


@pytest.mark.situation("`torch.utils._pytree`: the leaves of an `Output`, in training, too")
@pytest.mark.parametrize("name", KINDS)
def test_every_tensor_is_a_leaf(networks, images, name):
    output = training_output(networks[name], images)
    leaves, spec = tree_flatten(output)
    assert {id(leaf) for leaf in leaves if leaf is not None} == set(map(id, tensors(output)))
    again = tree_unflatten(leaves, spec)
    assert type(again) is Output
    assert type(again.path) is type(output.path)
    assert list(map(id, tensors(again))) == list(map(id, tensors(output)))


@pytest.mark.situation("`torch.utils._pytree.tree_map` over an `Output`, e.g. to move or detach it")
def test_what_is_mapped_is_an_output(networks, images):
    output = training_output(networks["channels-basic"], images)
    detached = tree_map(lambda leaf: None if leaf is None else leaf.detach(), output)
    assert detached.path.weight.equal(output.path.weight)
    assert not any(tensor.requires_grad for tensor in tensors(detached))


@pytest.mark.situation("`torch.export.export`, strict or not, and `torch.export.save`")
def test_an_exported_network_gives_the_same_output():
    """In a process of its own: the shape checks of the tests cannot be exported."""
    script, names = Path(__file__).with_name("exported.py"), ("channels-basic",)
    arguments = [sys.executable, str(script), *names]
    ended = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert json.loads(ended.stdout) == {name: [0.0, 0.0] for name in names}


@pytest.mark.situation("`nn.DataParallel`, whose gather joins the devices' outputs")
@pytest.mark.parametrize("name", KINDS)
def test_gathered_outputs_are_that_of_the_whole_batch(networks, images, name, monkeypatch):
    class Gather:
        """For want of two GPUs."""

        @staticmethod
        def apply(device: str, dim: int, *parts: Tensor) -> Tensor:
            return torch.cat(parts, dim)

    monkeypatch.setattr(scatter_gather, "Gather", Gather)
    network = networks[name]
    joined = scatter_gather.gather([network(part) for part in images.split(2)], "cpu")
    expected = network(images)
    assert type(joined) is Output
    for ours, theirs in zip(tensors(joined), tensors(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.situation("accelerate with `mixed_precision`, which turns outputs back into float32")
def test_outputs_under_mixed_precision_are_float32(networks, images):
    network = copy.deepcopy(networks["blend"]).float()
    prepared = Accelerator(mixed_precision="bf16", cpu=True).prepare(network)
    output = prepared(images.float())
    assert output.logits.dtype == torch.float32
    assert {t.dtype for t in tensors(output)} == {torch.float32, torch.bool}


@pytest.mark.situation("`torch.utils.flop_counter`, forward and backward")
def test_the_flop_counter_finds_the_cost_tables_macs(networks, images):
    network = copy.deepcopy(networks["n2-basic"])
    with FlopCounterMode(display=False) as forward:
        network(images)
    assert forward.get_total_flops() == 2 * len(images) * cost_table(network, (3, 13, 16)).full
    network.train()
    with FlopCounterMode(display=False) as both:
        network(images).logits.sum().backward()
    assert both.get_flop_counts()["DynamicNetwork.backbone.layer1.0.branches.0.conv1"]
    assert both.get_total_flops() > 2 * forward.get_total_flops()


@pytest.mark.situation(
    "fvcore, torchinfo, TensorBoard's graph: hooks and the tracer of `torch.jit`"
)
def test_the_tracer_sees_what_is_computed(networks, images):
    """What fvcore's counters and ``add_graph`` ask for."""
    network = networks["n2-basic"]
    graph, outputs = torch.jit._get_trace_graph(network, images, _return_inputs_states=False)[:2]
    convolutions = [node for node in graph.nodes() if node.kind() == "aten::_convolution"]
    assert len(convolutions) == 1 + 2 * sum(network.paths_per_block)
    assert outputs[0].equal(network(images).logits)


@pytest.mark.situation("`torch.save` and `pickle` of an output, e.g. from a worker process")
def test_outputs_travel(networks, images):
    output = networks["channels-basic"](images)
    file = io.BytesIO()
    torch.save(output, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    for ours, theirs in zip(tensors(again), tensors(output), strict=True):
        assert ours.equal(theirs)
