"""A frozen subnet as a configuration: a static network without some of its paths."""

from dataclasses import replace

import pytest
import torch

from dyncore.blocks import Granularity
from dyncore.cost import cost_table
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, from_pretrained, run_skipped


def subnet(network: DynamicNetwork, *kept: bool) -> DynamicNetwork:
    """With the weights of ``network``, as far as they are there."""
    config = replace(network.config, router=None, gate=None, frozen=kept)
    found = DynamicNetwork(config).double().eval()
    weights = network.state_dict()
    found.load_state_dict({name: weights[name] for name in found.state_dict()})
    return found


@pytest.mark.parametrize("name", ["blend-bottleneck", "blend-pad", "n2-basic"])
def test_it_answers_as_the_network_on_that_path(networks, images, tmp_path, name):
    network = networks[name]
    paths = network.paths_per_block
    kept = [n % 2 == 0 for n in range(sum(paths))]
    found = subnet(network, *kept)
    on = torch.tensor(kept).expand(len(images), -1)
    expected = network(images, path=ExecutionPath.of(on, paths, dtype=torch.float64)).logits
    output = found(images)
    torch.testing.assert_close(output.logits, expected)
    torch.testing.assert_close(run_skipped(found, images).logits, expected)
    assert torch.equal(output.path.on, on)
    table, whole = (cost_table(n, (3, 13, 16)) for n in (found, network))
    routers = sum(block.router for block in whole.blocks)
    path = ExecutionPath.of(on, paths)
    assert torch.equal(table.macs(output.path), whole.macs(path) - routers)
    assert table.static == whole.static
    found.save_pretrained(tmp_path)
    assert torch.equal(from_pretrained(tmp_path)(images).logits, output.logits)


def test_it_trains_what_is_there(networks, images):
    found = subnet(networks["static"], True, False, True).train()
    found(images).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in found.parameters())


def test_what_does_not_fit_is_refused(networks):
    network = networks["static"]
    with pytest.raises(ValueError, match=r"frozen says of 2 paths .* the network has 3"):
        subnet(network, True, False)
    with pytest.raises(ValueError, match="frozen fixes every path"):
        replace(networks["blend"].config, frozen=(True,) * 4)
    mobile = networks["n2-mobilenetv2"]
    with pytest.raises(ValueError, match="leaves no path in block 0, which has no shortcut"):
        subnet(mobile, *[False] * sum(mobile.paths_per_block))
    assert replace(network.config, granularity=Granularity(paths=2), frozen=(True,)).frozen
