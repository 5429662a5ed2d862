"""Budget losses against loops over blocks and images."""

import pytest
import torch

from dyncore import cost_table
from dyncore.cost import CostTable, execution_rate_loss, flops_ratio_loss
from dyncore.gating import Choice, Decision, ExecutionPath

SIZE = (3, 13, 16)
NAMES = ["blend", "n3-bottleneck", "additive-mobilenetv2", "n2-mobilenetv2", "salience"]
CHANNELS = ["channels-basic", "channels-bottleneck"]


def random_path(network, batch: int = 5) -> ExecutionPath:
    """Relaxed weights of every path and channel, those of blocks that are not gated too."""
    torch.manual_seed(0)

    def weights(columns: int) -> torch.Tensor:
        return torch.rand(batch, columns, dtype=torch.float64, requires_grad=True)

    decisions = []
    for paths, channels in zip(network.paths_per_block, network.channels_per_block, strict=True):
        weight, channel = weights(paths), weights(channels)
        if channels:
            decisions.append(Decision(Choice(weight > 0.5, weight), Choice(channel > 0.5, channel)))
        else:
            decisions.append(Decision(Choice(weight > 0.5, weight)))
    return ExecutionPath(tuple(decisions))


def gated(table: CostTable, path: ExecutionPath):
    return [pair for pair in zip(table.blocks, path, strict=True) if pair[0].gated]


def gradients(loss: torch.Tensor, path: ExecutionPath) -> list[torch.Tensor | None]:
    leaves = [decision.weight for decision in path]
    return torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)


@pytest.mark.parametrize("tolerance", [0.0, 0.15])
@pytest.mark.parametrize("name", NAMES)
def test_execution_rate_loss_is_the_equation(networks, name, tolerance):
    table, path, target = cost_table(networks[name], SIZE), random_path(networks[name]), 0.3

    loss = execution_rate_loss(path, table, target, tolerance)

    expected = 0.0
    for _, decision in gated(table, path):
        batch, paths = decision.weight.shape
        z = 0.0  # DMNN Eq. 11
        for image in range(batch):
            for n in range(paths):
                z += decision.weight[image, n].item() / (batch * paths)
        expected += max(0.0, abs(z - target) - tolerance) ** 2
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_rates_within_the_tolerance_are_left_alone(networks):
    table, path = cost_table(networks["blend"], SIZE), random_path(networks["blend"])
    loss = execution_rate_loss(path, table, target=0.5, tolerance=0.5)
    assert loss.item() == 0
    assert all(g is None or not g.any() for g in gradients(loss, path))


@pytest.mark.parametrize("name", NAMES + CHANNELS)
def test_flops_ratio_loss_is_the_equation(networks, name):
    table, path, target = cost_table(networks[name], SIZE), random_path(networks[name]), 0.4

    loss = flops_ratio_loss(path, table, target)

    f = total = 0.0  # DMNN Eq. 13 and 14
    batch = len(path[0].on)
    for block, decision in gated(table, path):
        for n, cost in enumerate(block.paths):
            total += cost.total
            for image in range(batch):
                macs = cost.total
                if cost.channels:
                    share = decision.channels.weight[image].sum().item() / cost.channels
                    macs = sum(cost.layers[:2]) * share + sum(cost.layers[2:])
                f += decision.weight[image, n].item() * macs / batch
    assert loss.item() == pytest.approx((f / total - target) ** 2, rel=1e-12)


@pytest.mark.parametrize("loss_of", [execution_rate_loss, flops_ratio_loss])
def test_blocks_that_are_not_gated_have_no_part(networks, loss_of):
    network = networks["additive-mobilenetv2"]
    table, path = cost_table(network, SIZE), random_path(network)

    loss = loss_of(path, table, 0.4)

    for block, gradient in zip(table.blocks, gradients(loss, path), strict=True):
        moves = gradient is not None and bool(gradient.any())
        assert moves == block.gated


@pytest.mark.parametrize("loss_of", [execution_rate_loss, flops_ratio_loss])
@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_loss_is_zero_exactly_at_the_target(networks, loss_of, rate):
    network = networks["n3-bottleneck"]
    table = cost_table(network, SIZE)
    weight = torch.full((4, 3), rate, dtype=torch.float64, requires_grad=True)
    path = ExecutionPath((Decision(Choice(weight > 0, weight)),) * 2)

    assert loss_of(path, table, rate).item() == pytest.approx(0, abs=1e-24)
    below = torch.autograd.grad(loss_of(path, table, rate + 0.1), weight)[0]
    above = torch.autograd.grad(loss_of(path, table, rate - 0.1), weight)[0]
    assert (below < 0).all()
    assert (above > 0).all()


def test_only_the_mean_counts(networks):
    """Half the images on everywhere is as good as half the paths on for each (A5)."""
    network = networks["n3-bottleneck"]
    table = cost_table(network, SIZE)
    on = torch.tensor([[True] * 6, [False] * 6])
    path = ExecutionPath.of(on, network.paths_per_block, dtype=torch.float64)

    assert execution_rate_loss(path, table, 0.5).item() == 0
    assert flops_ratio_loss(path, table, 0.5).item() == pytest.approx(0, abs=1e-24)
