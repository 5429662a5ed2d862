"""Loss terms against loops over images, blocks and paths."""

from math import exp, log

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from dyncore.cost import BlockCost, CostTable, PathCost
from dyncore.data import Batch
from dyncore.gating import Choice, Decision, ExecutionPath, Relaxation
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig, FlopsRatioConfig

IMAGES = 5
TABLE = CostTable(
    input_size=(3, 8, 8),
    static=1000,
    stem=100,
    head=10,
    blocks=(
        BlockCost(gated=True, router=7, shortcut=3, paths=(PathCost((20, 30)), PathCost((40,)))),
        BlockCost(gated=False, router=0, shortcut=0, paths=(PathCost((500,)),)),
        BlockCost(gated=True, router=5, shortcut=0, paths=(PathCost((60, 90, 11), channels=3),)),
    ),
)


READS = pytest.mark.parametrize("reads", ["noise-free", "training"])


@pytest.fixture
def model(networks) -> DynamicNetwork:
    return networks["static"]


@pytest.fixture
def output() -> Output:
    """Random weights, also where nothing is gated; the last gate is of a kind without noise."""
    generator = torch.Generator().manual_seed(0)

    def random(width: int) -> Tensor:
        weight = torch.rand(IMAGES, width, generator=generator, dtype=torch.float64)
        return weight.requires_grad_()

    def choice(width: int) -> Choice:
        return Choice(random(width) > 0.5, random(width))

    decisions = [Decision(choice(n), training=Relaxation(random(n))) for n in (2, 1)]
    decisions.append(Decision(choice(1), choice(3)))
    return Output(random(4), ExecutionPath(tuple(decisions)), [None] * 3, [None] * 3)


@pytest.fixture
def batch() -> Batch:
    labels = torch.tensor([0, 3, 1, 1, 2])
    return Batch(torch.rand(IMAGES, 3, 8, 8), labels, torch.arange(IMAGES))


def read(decision: Decision, reads: str) -> Tensor:
    """A gate without noise has nothing else to read than its weight."""
    if reads == "noise-free" and decision.training is not None:
        return decision.training.paths
    return decision.weight


def gradients(term: Tensor, output: Output) -> list[Tensor | None]:
    leaves = [output.logits]
    for decision in output.path:
        leaves += [choice.weight for choice in decision.choices]
        if decision.training is not None:
            leaves.append(decision.training.paths)
    return list(torch.autograd.grad(term, leaves, allow_unused=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy(model, batch, output, smoothing):
    part = CrossEntropyConfig(label_smoothing=smoothing).build(model, TABLE)
    total = 0.0
    for row, label in zip(output.logits.tolist(), batch.labels.tolist(), strict=True):
        normaliser = log(sum(exp(logit) for logit in row))
        for k, logit in enumerate(row):
            target = smoothing / 4 + (1 - smoothing) * (k == label)
            total -= target * (logit - normaliser)
    terms = part(batch, output)
    assert terms.keys() == {"classification"}
    assert terms["classification"].item() == pytest.approx(total / IMAGES, rel=1e-12)


@READS
def test_execution_rate_pulls_each_gated_block_on_its_own(model, batch, output, reads):
    config = ExecutionRateConfig(target=0.3, weight=2.0, reads=reads)
    terms = config.build(model, TABLE)(batch, output)
    expected = torch.zeros((), dtype=torch.float64)
    for decision in (output.path[0], output.path[2]):
        weight, total = read(decision, reads), torch.zeros((), dtype=torch.float64)
        for image in range(IMAGES):
            for path in range(weight.shape[1]):
                total = total + weight[image, path]
        expected = expected + (total / weight.numel() - 0.3) ** 2
    assert terms.keys() == {"rate"}
    assert_close(terms["rate"], 2 * expected)
    assert_close(gradients(terms["rate"], output), gradients(2 * expected, output))


def test_a_leak_reaches_gates_that_are_sure_of_every_image(model, batch):
    """Off its target a rate pulls at every margin, however large; within its bounds at none."""
    others = [Decision.of(torch.ones(IMAGES, 1, dtype=torch.bool), dtype=torch.float64)] * 2

    def pull(**fields: float) -> list[float]:
        margin = torch.tensor([[50.0, -1.0]] * IMAGES, dtype=torch.float64, requires_grad=True)
        on, probability = margin > 0, margin.sigmoid()
        hard = on + probability - probability.detach()
        sure = Decision(Choice(on, probability), training=Relaxation(hard, margin=margin))
        path = ExecutionPath((sure, *others))
        output = Output(torch.zeros(IMAGES, 4), path, [None] * 3, [None] * 3)
        config = ExecutionRateConfig(target=0.9, weight=2.0, reads="noise-free", **fields)
        loss = config.build(model, TABLE)(batch, output)["rate"]
        return torch.autograd.grad(loss, margin)[0][0].tolist()

    upstream, slope = 2 * 2 * (0.5 - 0.9) / (2 * IMAGES), 0.19661193324148185
    assert pull() == pytest.approx([0, upstream * slope], rel=1e-12)
    assert pull(leak=0.1) == pytest.approx([upstream * 0.1, upstream * (slope + 0.1)], rel=1e-12)
    assert pull(leak=0.1, tolerance=0.5) == [0, 0]


@READS
def test_flops_ratio_counts_gated_paths_and_channels_only(model, batch, output, reads):
    config = FlopsRatioConfig(target=0.6, weight=3.0, reads=reads)
    terms = config.build(model, TABLE)(batch, output)
    first, last = read(output.path[0], reads), output.path[2]
    total = torch.zeros((), dtype=torch.float64)
    for image in range(IMAGES):
        total = total + 50 * first[image, 0] + 40 * first[image, 1]
        cost = torch.full((), 11.0, dtype=torch.float64)
        for channel in range(3):
            cost = cost + (60 + 90) / 3 * last.channels.weight[image, channel]
        total = total + last.weight[image, 0] * cost
    expected = 3 * (total / IMAGES / (50 + 40 + 161) - 0.6) ** 2
    assert terms.keys() == {"flops"}
    assert_close(terms["flops"], expected)
    assert_close(gradients(terms["flops"], output), gradients(expected, output))
