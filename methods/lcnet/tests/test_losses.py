"""The L1 term and the budget against loops, for saliences below, within and above [0, 1]."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dyn_lcnet import SalienceL1Config, salience_l1
from dyn_lcnet.method import METHOD
from dyncore.backbones import ResNetConfig
from dyncore.cost import Accounting, BlockCost, CostTable, PathCost, flops_ratio_loss
from dyncore.data import Batch
from dyncore.gating import Choice, Decision, ExecutionPath, Relaxation
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import FlopsRatioConfig

CHANNELS = (4, 0, 6)
"""Of three blocks; the second one's are not gated."""
TABLE = CostTable(
    input_size=(3, 8, 8),
    static=900,
    stem=20,
    head=5,
    blocks=(
        BlockCost(gated=True, router=3, shortcut=0, paths=(PathCost((40, 80), 4),)),
        BlockCost(gated=True, router=2, shortcut=7, paths=(PathCost((50, 60)),)),
        BlockCost(gated=True, router=4, shortcut=0, paths=(PathCost((12, 90, 30), 6),)),
    ),
)
BACKBONE = ResNetConfig(block="basic", depths=(1,), widths=(4,), stem="cifar")
ACCOUNTINGS: tuple[Accounting, ...] = ("sequential", "parallel")


@pytest.fixture(scope="module")
def model() -> DynamicNetwork:
    """No part here reads it."""
    return DynamicNetwork(METHOD.configure(BACKBONE, 1, 10))


def leaky(images: int, seed: int, leak: float = 0.1) -> ExecutionPath:
    """Decisions of leaky ReLU-1 gates whose scores lie on both sides of 0 and of 1."""
    generator = torch.Generator().manual_seed(seed)
    decisions = []
    for channels in CHANNELS:
        scores = torch.randn(images, 1 + channels, generator=generator, dtype=torch.float64) + 0.5
        clamped = scores.clamp(0, 1)
        weight, on = clamped + leak * (scores - clamped), scores > 0
        layer, channel = (w.clone().requires_grad_() for w in weight.split([1, channels], dim=1))
        hard = [
            s.double() + (w - w.detach()) for s, w in ((on[:, :1], layer), (on[:, 1:], channel))
        ]
        gated = Choice(on[:, 1:], channel) if channels else None
        training = Relaxation(hard[0], hard[1] if channels else None)
        decisions.append(Decision(Choice(on[:, :1], layer), gated, training))
    return ExecutionPath(tuple(decisions))


def saliences(path: ExecutionPath) -> list[list[list[float]]]:
    """S_L and then the S_C of each image, block by block."""
    blocks = []
    for d in path:
        blocks.append(torch.cat([choice.weight for choice in d.choices], 1).tolist())
    return blocks


def output_of(path: ExecutionPath) -> Output:
    images = len(path[0].on)
    nothing: list[Tensor | None] = [None] * len(path)
    return Output(torch.zeros(images, 10, dtype=torch.float64), path, nothing, nothing)


def batch_of(path: ExecutionPath) -> Batch:
    rows = torch.arange(len(path[0].on))
    return Batch(torch.zeros(len(rows), 3, 8, 8), labels=rows * 0, index=rows)


@settings(max_examples=30, deadline=None)
@given(images=st.integers(1, 6), seed=st.integers(0, 2**16))
def test_l1_sums_channels_and_blocks_and_averages_images(model, images, seed):
    path = leaky(images, seed)
    expected = 0.0
    for block in saliences(path):
        for image in block:
            for salience in image:
                expected += abs(salience) / images
    assert salience_l1(path, TABLE).item() == pytest.approx(expected, abs=1e-12)
    part = SalienceL1Config(weight=0.3).build(model, TABLE)
    terms = part(batch_of(path), output_of(path))
    assert list(terms) == ["l1"]
    assert terms["l1"].item() == pytest.approx(0.3 * expected, abs=1e-12)


def test_l1_leaves_out_blocks_that_are_not_gated():
    blocks = (TABLE.blocks[0], replace(TABLE.blocks[1], gated=False), TABLE.blocks[2])
    path = leaky(3, seed=0)
    expected = sum(abs(s) for n in (0, 2) for image in saliences(path)[n] for s in image) / 3
    found = salience_l1(path, replace(TABLE, blocks=blocks)).item()
    assert found == pytest.approx(expected, abs=1e-12)


def test_l1_pulls_each_salience_to_zero_by_its_share_of_the_batch():
    path = leaky(4, seed=1)
    weights = [choice.weight for d in path for choice in d.choices]
    for weight, gradient in zip(
        weights, torch.autograd.grad(salience_l1(path, TABLE), weights), strict=True
    ):
        assert torch.equal(gradient, weight.sign() / 4)


@pytest.mark.parametrize("accounting", ACCOUNTINGS)
@settings(max_examples=30, deadline=None)
@given(images=st.integers(1, 6), seed=st.integers(0, 2**16))
def test_executed_weights_cost_what_is_executed(accounting, images, seed):
    path = leaky(images, seed)
    cost = TABLE.expected(path.noise_free, accounting)
    torch.testing.assert_close(cost, TABLE.macs(path, accounting).double())


@pytest.mark.parametrize("accounting", ACCOUNTINGS)
@pytest.mark.parametrize("form", ["salience", "executed"])
def test_gradient_of_the_expected_cost_is_its_derivative(form, accounting):
    """d/dS_L = fixed + per channel × Σ S_C, and d/dS_C = S_L × per channel, leaky or not."""
    path = leaky(5, seed=2)
    read = path.noise_free if form == "executed" else path
    TABLE.expected(read, accounting).sum().backward()
    for read_d, d, block in zip(read, path, TABLE.blocks, strict=True):
        cost = block.paths[0]
        fixed, each = cost.fixed(accounting), cost.per_channel(accounting)
        channels = [0.0] * 5
        if read_d.channels is not None:
            channels = [sum(row) for row in read_d.channels.weight.tolist()]
        expected = [fixed + each * total for total in channels]
        assert d.weight.grad is not None
        assert d.weight.grad[:, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("accounting", ACCOUNTINGS)
def test_gradient_of_the_expected_cost_reaches_channels(accounting):
    path = leaky(5, seed=3)
    gated = [
        (d, b.paths[0]) for d, b in zip(path, TABLE.blocks, strict=True) if b.paths[0].channels
    ]
    weights = [d.channels.weight for d, _ in gated]
    gradients = torch.autograd.grad(TABLE.expected(path, accounting).sum(), weights)
    for (d, cost), gradient in zip(gated, gradients, strict=True):
        expected = d.weight.detach() * cost.per_channel(accounting)
        torch.testing.assert_close(gradient, expected.expand_as(gradient))


def loss_by_loops(path: ExecutionPath, target: float, *, hard: bool) -> float:
    total, gated = 0.0, 120.0 + 110.0 + 132.0
    for image in range(len(path[0].on)):
        for d, block in zip(path, TABLE.blocks, strict=True):
            cost = block.paths[0]
            layer = float(d.on[image, 0]) if hard else d.weight[image, 0].item()
            if d.channels is None:
                total += layer * sum(cost.layers)
                continue
            for channel in range(cost.channels):
                score = d.channels.weight[image, channel].item()
                score = float(d.channels.on[image, channel]) if hard else score
                total += layer * score * (cost.layers[0] + cost.layers[1]) / cost.channels
            total += layer * sum(cost.layers[2:])
    return (total / len(path[0].on) / gated - target) ** 2


@settings(max_examples=30, deadline=None)
@given(images=st.integers(1, 6), seed=st.integers(0, 2**16), target=st.floats(0, 1))
def test_budget_is_on_what_is_executed(model, images, seed, target):
    path = leaky(images, seed)
    config = FlopsRatioConfig(target=target, weight=2.0, reads="noise-free")
    part = config.build(model, TABLE)
    terms = part(batch_of(path), output_of(path))
    assert list(terms) == ["flops"]
    expected = 2 * loss_by_loops(path, target, hard=True)
    assert terms["flops"].item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(images=st.integers(1, 6), seed=st.integers(0, 2**16), target=st.floats(0, 1))
def test_cores_flops_loss_takes_leaky_channels(images, seed, target):
    path = leaky(images, seed)
    loss = flops_ratio_loss(path, TABLE, target)
    assert loss.item() == pytest.approx(loss_by_loops(path, target, hard=False), abs=1e-12)
    loss.backward()
    for d in path:
        for choice in d.choices:
            assert choice.weight.grad.isfinite().all()


def test_salience_alone_does_not_hold_a_budget(model):
    """Why the budget counts decisions: saliences of 0.7 meet it with everything executed."""
    decisions = []
    for channels in CHANNELS:
        ones = torch.ones(2, 1 + channels, dtype=torch.float64)
        on, weight = ones.bool(), 0.7 * ones
        gated = Choice(on[:, 1:], weight[:, 1:]) if channels else None
        hard = Relaxation(ones[:, :1], ones[:, 1:] if channels else None)
        decisions.append(Decision(Choice(on[:, :1], weight[:, :1]), gated, hard))
    path = ExecutionPath(tuple(decisions))
    target = TABLE.expected_gated(path)[0].item() / TABLE.gated
    assert target < 0.6
    assert TABLE.macs(path).tolist() == [TABLE.full] * 2
    by_salience = FlopsRatioConfig(target=target, reads="training").build(model, TABLE)
    by_decision = FlopsRatioConfig(target=target, reads="noise-free").build(model, TABLE)
    arguments = (batch_of(path), output_of(path))
    assert by_salience(*arguments)["flops"].item() == pytest.approx(0, abs=1e-12)
    assert by_decision(*arguments)["flops"].item() == pytest.approx((1 - target) ** 2)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_bad_weight_is_named(weight):
    with pytest.raises(ValueError, match=f"weight must be finite and not negative, not {weight}"):
        SalienceL1Config(weight=weight)
