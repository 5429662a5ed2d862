"""Blocks in their fused form: the oracle runs module after module, in float64."""

import copy
import functools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dyncore.backbones import MobileNetV2Config
from dyncore.blocks import GatedBlock, Granularity, Path
from dyncore.gating import Choice, Decision
from dyncore.kernels._block import fused_block
from dyncore.kernels._pool import pool
from dyncore.kernels._weighted_norm import activated_norm

SHORTCUTS = ["identity", "pad", "projection"]
FORMS = ["basic", "bottleneck"]
LAYOUTS = (torch.contiguous_format, torch.channels_last)
"""Torch's own, and the one that compiled code takes."""

Run = Callable[[GatedBlock, Tensor, Decision], Tensor]


def oracle_path(path: Path, x: Tensor, channel_weight: Tensor | None = None) -> Tensor:
    """LC-Net Eq. 4 by modules: convolve, norm, scale, activate."""
    for conv, norm, activation in path.layers:
        x = norm(conv(x))
        if channel_weight is not None:
            x, channel_weight = x * channel_weight[:, :, None, None], None
        x = activation(x)
    return x


def oracle(block: GatedBlock, x: Tensor, decision: Decision) -> Tensor:
    """CDB Eq. 3, and RDI-Net Eq. 9 for a blend."""
    outputs = [
        oracle_path(path, x, decision.channels and decision.channels.weight) for path in block.paths
    ]
    if block.combine == "blend":
        shortcut, v = block.downsample(x), decision.weight[:, :, None, None]
        executed = block.activation(shortcut + outputs[0])
        return v * executed + (1 - v) * block.activation(shortcut)
    weighted = [y * w[:, None, None, None] for y, w in zip(outputs, decision.weight.T, strict=True)]
    if block.downsample is not None:
        weighted.append(block.downsample(x))
    return block.activation(functools.reduce(torch.add, weighted))


def fused(block: GatedBlock, x: Tensor, decision: Decision) -> Tensor:
    """The fused form, which must be there."""
    out = fused_block(block, x, decision)
    assert out is not None
    return out


def random_decision(
    block: GatedBlock, images: int, channels: bool, dtype: torch.dtype = torch.float64
) -> Decision:
    generator = torch.Generator().manual_seed(3)

    def draw(count: int) -> Tensor:
        return torch.randn(images, count, generator=generator, dtype=torch.float64).to(dtype)

    weight = draw(len(block.paths)).requires_grad_()
    if not channels:
        return Decision(Choice(weight > 0, weight))
    channel_weight = draw(block.gated_channels).requires_grad_()
    return Decision(Choice(weight > 0, weight), Choice(channel_weight > 0, channel_weight))


def results(
    run: Run,
    block: GatedBlock,
    x: Tensor,
    channels: bool = False,
    before: Callable[[Tensor], Tensor] = torch.clone,
) -> dict[str, Tensor]:
    """Output, running statistics and every gradient of a step, after ``before``."""
    own, own_x = copy.deepcopy(block).to(x.dtype).train(), x.clone().requires_grad_()
    decision = random_decision(own, len(x), channels, x.dtype)
    out = run(own, before(own_x), decision)
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape))
    gradients = {name: p.grad for name, p in own.named_parameters()}
    gradients |= {"x": own_x.grad, "weight": decision.weight.grad}
    if decision.channels is not None:
        gradients["channel_weight"] = decision.channels.weight.grad
    return {"out": out.detach(), **gradients, **dict(own.named_buffers())}


def expect_equal(
    block: GatedBlock,
    x: Tensor,
    *,
    channels: bool = False,
    before: Callable[[Tensor], Tensor] = torch.clone,
) -> None:
    """Fused and plain form equal the oracle; in float32 the fused one errs like the plain one."""
    exact = results(oracle, block, x, channels, before)
    for layout in LAYOUTS:
        own = x.contiguous(memory_format=layout)
        for run in (fused, GatedBlock.__call__):
            expect_close(results(run, block, own, channels, before), exact)
        narrow, plain = (
            results(run, block, own.float(), channels, before)
            for run in (fused, GatedBlock.__call__)
        )
        for name, values in exact.items():
            if values.is_floating_point():
                limit = 4 * distance(plain[name], values) + 1e-5 * values.norm().item() + 1e-5
                assert distance(narrow[name], values) <= limit, name


def expect_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(
            found[name],
            values,
            rtol=1e-9,
            atol=1e-9,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def distance(found: Tensor, exact: Tensor) -> float:
    return (found.double() - exact).norm().item()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("paths", [1, 2, 3])
def test_additive_training_equals_the_paths_one_by_one(make_block, x, shortcut, form, paths):
    expect_equal(make_block(shortcut, form=form, paths=paths), x)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_blended_training_equals_plain_operations(make_block, x, shortcut, form):
    """Of what a block sees: maps that a ReLU has put out, with zeros among them."""
    expect_equal(make_block(shortcut, form=form, combine="blend"), x, before=F.relu)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_gated_channels_in_training_equal_plain_operations(make_block, x, shortcut, form):
    expect_equal(make_block(shortcut, form=form), x, channels=True)


def test_gated_channels_of_a_blend_count(make_block, x):
    expect_equal(make_block(combine="blend"), x, channels=True, before=F.relu)


@pytest.mark.parametrize("paths", [1, 2, 4])
def test_inverted_residuals_in_training_equal_the_paths_one_by_one(paths):
    torch.manual_seed(5)
    backbone = MobileNetV2Config(width=0.25).build(3, granularity=Granularity(paths=paths))
    for block in backbone.blocks[:5]:
        channels = block.paths[0].layers[0].conv.in_channels
        expect_equal(block.double(), torch.randn(3, channels, 6, 6, dtype=torch.float64))


@pytest.mark.parametrize(("paths", "combine"), [(1, "blend"), (1, "additive"), (2, "additive")])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_channels_last_maps_are_channels_last(make_block, x, form, paths, combine):
    """Whatever the head's mean gives: only one of two gradients that meet must be so."""
    block = make_block(form=form, paths=paths, combine=combine).train()
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    kept, mean = pool(x)
    out = fused(block, kept, random_decision(block, len(x), channels=False))
    assert x.shape[1] > 1
    assert out.is_contiguous(memory_format=torch.channels_last)

    (gradient,) = torch.autograd.grad(out.mean((2, 3)).sum() + mean.sum(), x)

    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.needs_compiler
@pytest.mark.parametrize("combine", ["additive", "blend"])
def test_channels_last_maps_are_normalised_by_compiled_code(make_block, x, combine):
    block = make_block(combine=combine).train()
    decision = random_decision(block, len(x), channels=False)
    out = fused(block, x.to(memory_format=torch.channels_last), decision)
    assert type(out.grad_fn).__name__.startswith("Compiled")
    assert not type(fused(block, x, decision).grad_fn).__name__.startswith("Compiled")


@pytest.mark.needs_compiler
def test_compiled_norms_do_not_depend_on_the_number_of_threads(make_block):
    """Up to rounding: threads share images, and what they add up meets in float64."""
    block = make_block("projection").train()
    x = torch.randn(3, 8, 9, 7, dtype=torch.float64).to(memory_format=torch.channels_last)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            own_x = x.clone().requires_grad_()
            out = fused(block, own_x, random_decision(block, len(x), channels=False))
            results.append((out, *torch.autograd.grad(out.square().sum(), [own_x])))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.needs_compiler
def test_large_means_leave_32_bit_variances_their_digits():
    """A sum of squares alone would have none left."""
    norm = nn.BatchNorm2d(8, momentum=1.0)
    x = (1000 + torch.randn(4, 8, 33, 5)).to(memory_format=torch.channels_last)
    activated_norm(x, [norm], F.relu)
    torch.testing.assert_close(
        norm.running_var.double(), x.double().var((0, 2, 3)), rtol=1e-5, atol=0
    )


@settings(deadline=None, max_examples=25)
@given(
    paths=st.integers(1, 4),
    images=st.integers(2, 5),
    size=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
def test_folded_statistics_are_those_of_the_output(make_block, paths, images, size, seed):
    block = make_block(form="bottleneck", paths=paths)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(images, 8, size, size, generator=generator, dtype=torch.float64)
    expect_equal(block, 3 + 2 * x)


@pytest.mark.parametrize(("value", "size"), [(99.9, 3), (333.3, 5)])
def test_rounding_leaves_the_folded_statistics_of_constants_a_variance(make_block, value, size):
    """Covariances of large constants in 32 bits are rounding errors of either sign."""
    block = make_block(form="bottleneck", paths=2).float().train()
    for path in block.paths:
        norm = path.layers[1].norm
        nn.init.constant_(norm.weight, 0.0)
        with torch.no_grad():
            norm.bias.copy_(value * torch.arange(1, len(norm.bias) + 1) / 3)
    decision = Decision.of(torch.ones(4, 2, dtype=torch.bool))
    out = fused(block, torch.randn(4, 8, size, size), decision)
    assert out.isfinite().all()
    assert all((path.layers[-1].norm.running_var >= 0).all() for path in block.paths)


@pytest.mark.parametrize("paths", [1, 2])
def test_training_keeps_no_more_for_the_backward_pass_than_the_static_block(make_block, paths):
    x = torch.randn(4, 8, 16, 16, dtype=torch.float64)

    def kept(run: Run, block: GatedBlock, decision: Decision | None) -> int:
        storages = {}

        def pack(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = run(block.train(), x.clone().requires_grad_(), decision)
            total = sum(storages.values())
        del out
        return total

    static = make_block(form="bottleneck")
    gated = make_block(form="bottleneck", paths=paths)
    decision = random_decision(gated, len(x), channels=False)
    assert kept(fused, gated, decision) <= 1.1 * kept(GatedBlock.__call__, static, None)


def test_16_bit_weights_are_normalised_by_statistics_of_32_bits(make_block, x):
    block = make_block(form="bottleneck", paths=2).float().train()
    decision = random_decision(block, len(x), channels=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = fused(block, x.float(), decision)
    expected = oracle(block.double(), x, decision)
    torch.testing.assert_close(out.double(), expected, rtol=0.05, atol=0.15)
    assert F.relu(out).equal(out)
