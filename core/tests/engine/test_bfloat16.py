"""Layers in bfloat16: as torch rounds, within bounds, emulated as instructions do it.

Networks have few channels; what their layers multiply is rounded here by torch, in float64.
"""

import copy
import math
import pickle
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dyncore import Engine, ExecutionPath
from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import Granularity
from dyncore.engine import _network
from dyncore.engine._precision import CHECKED, checked_images, logit_bound
from dyncore.engine.native import (
    BFLOAT16,
    NativeBackend,
    Team,
    _library,
    library,
    multiplies_bfloat16,
)
from dyncore.engine.plan import Plan, activate, plan
from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.network import DynamicConfig, DynamicNetwork

pytestmark = pytest.mark.needs_compiler
ROUNDING = 2.0**-8
EMULATIONS = [(_library.EMULATED,), (_library.EMULATED, _library.MATRICES)]
"""By vectors, and by matrices."""
SUMS = 2.0**-16
"""More than float32 loses in any sum here, relative to the sum of what is added."""

has_instructions = pytest.mark.skipif(
    not multiplies_bfloat16(), reason="this processor has no bfloat16"
)


def backend(model: DynamicNetwork, images: Tensor, *flags: str, threads: int = 1) -> NativeBackend:
    """In bfloat16, in emulation if the ``flags`` or the processor want it."""
    code = library(torch.float32, BFLOAT16, *flags)
    with torch.no_grad():
        planned = plan(model, images[:1])
    return NativeBackend(planned, images[:1], Team(code, threads), rounds=True)


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().to(x.dtype)


def convolved(layer: nn.Conv2d, x: Tensor, weight: Tensor, *, bias: bool = True) -> Tensor:
    added = layer.bias.double() if bias and layer.bias is not None else None
    return F.conv2d(x, weight, added, layer.stride, layer.padding, 1, layer.groups)


def is_depthwise(conv: nn.Conv2d) -> bool:
    return conv.groups > 1


def rounds(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A layer whose factors are rounded; weights of a depthwise convolution stay as they are."""
    weight = conv.weight.double()
    return convolved(conv, rounded(x), weight if conv.groups > 1 else rounded(weight))


def bounded(conv: nn.Conv2d, x: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """The exact layer, and how far it can be off if ``x`` is off by ``error``.

    |w' x' - w x| ≤ |w'| |x' - x| + |w' - w| |x|, and what sums in float32 lose.
    """
    weight = conv.weight.double()
    off = error + ROUNDING * (x.abs() + error)
    moved = convolved(conv, off, (1 + ROUNDING) * weight.abs(), bias=False)
    moved += convolved(conv, x.abs(), ROUNDING * weight.abs(), bias=False)
    sums = convolved(conv, x.abs() + off, weight.abs(), bias=False)
    y = convolved(conv, x, weight)
    return y, moved + SUMS * (sums + y.abs())


@torch.no_grad()
def reference(planned: Plan, images: Tensor, path: ExecutionPath) -> Tensor:
    """The last block's maps, rounding whatever convolutions multiply.

    A salience multiplies what goes out of a path's first layer.
    """
    stem = planned.stem.layer
    x = activate(rounds(stem.conv, images.double()), stem.activation)
    x = F.max_pool2d(x, 3, 2, 1) if planned.stem.max_pool else x
    for block, decision in zip(planned.blocks, path, strict=True):
        conv = isinstance(block.shortcut, nn.Conv2d)
        total = rounds(block.shortcut, x) if conv else shortcut(block.shortcut, x)
        for n, folded in enumerate(block.paths):
            y = x
            for index, layer in enumerate(folded.layers):
                y = activate(rounds(layer.conv, y), layer.activation)
                if decision.channels is not None and index == 0:
                    y = y * decision.channels.weight[:, :, None, None].double()
            total = total + y * decision.weight[:, n, None, None, None].double()
        x = activate(total, block.activation)
    return x


def shortcut(module: nn.Module | None, x: Tensor) -> Tensor:
    """One that is no convolution."""
    return torch.zeros(()) if module is None else module(x)


@torch.no_grad()
def bounds(planned: Plan, images: Tensor, path: ExecutionPath) -> tuple[Tensor, Tensor]:
    """The last block's exact maps, and how far they can be off; stem without a maximum."""
    stem = planned.stem.layer
    x, error = bounded(stem.conv, images.double(), torch.zeros_like(images.double()))
    x = activate(x, stem.activation)
    for block, decision in zip(planned.blocks, path, strict=True):
        if isinstance(block.shortcut, nn.Conv2d):
            total, off = bounded(block.shortcut, x, error)
        else:
            total, off = (shortcut(block.shortcut, value) for value in (x, error))
        for n, folded in enumerate(block.paths):
            y, moved = x, error
            for layer in folded.layers:
                y, moved = bounded(layer.conv, y, moved)
                y = activate(y, layer.activation)
            weight = decision.weight[:, n, None, None, None].double()
            total, off = total + weight * y, off + weight * moved
        x, error = activate(total, block.activation), off + SUMS * total.abs()
    return x, error


def assert_rounds_as_torch(engine: NativeBackend, images: Tensor, path: ExecutionPath) -> None:
    """Nearer to torch's roundings than to exact values: sums in float32 hardly turn a rounding."""
    (part,) = engine(images, path)
    expected = reference(engine.plan, images, path)
    scale = float(expected.abs().max()) + 1e-6
    off = (part.features.double() - expected).abs() / scale
    assert float(off.max()) < ROUNDING, "a rounding that turned moves few numbers, a little"
    assert float(off.mean()) < 0.01 * ROUNDING


@settings(max_examples=10)
@given(data=st.data())
def test_any_size_rounds_as_torch_does(build_resnet, drawn_path, data):
    draw = data.draw
    channels, group = draw(st.booleans()), draw(st.sampled_from([1, 3, 16, 32]))
    model = build_resnet(
        draw(st.sampled_from(["basic", "bottleneck"])),
        draw(st.sampled_from([(3, 5), (8,), (16, 24), (33,)])),
        draw(st.sampled_from(["cifar", "cifar2", "imagenet"])),
        1 if channels else draw(st.integers(1, 3)),
        channels,
        draw(st.sampled_from(["projection", "pad"])),
        group,
    ).float()
    size, count = (draw(st.integers(5, 37)), draw(st.integers(5, 37))), draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    images = torch.randn(count, 3, *size, generator=generator)
    share = draw(st.sampled_from([0.0, 0.4, 0.9, 1.0]))
    path = drawn_path(model, count, share, generator, group)
    flags = draw(st.sampled_from([(), *EMULATIONS]))
    engine = backend(model, images, *flags, threads=draw(st.integers(1, 3)))
    assert engine.rounds
    assert_rounds_as_torch(engine, images, path)


@pytest.mark.parametrize("threads", [1, 3])
@torch.no_grad()
def test_depthwise_layers_are_as_exact_as_torch_rounding(build_network, drawn_path, threads):
    """Behind fifty layers roundings have turned otherwise: errors are as large, not the same."""
    config = DynamicConfig(backbone=MobileNetV2Config(width=0.35), num_classes=3)
    model = build_network(config, threads).float()
    images = torch.randn(3, 3, 49, 33)
    engine, path = backend(model, images, threads=threads), drawn_path(model, 3, 1.0, None)
    (part,) = engine(images, path)
    exact = copy.deepcopy(model).double()(images.double(), path=path).features
    torchs = reference(engine.plan, images, path)
    ours, expected = ((found - exact).square().mean().sqrt() for found in (part.features, torchs))
    assert 0.5 * float(expected) < float(ours) < 1.5 * float(expected)


@torch.no_grad()
def test_a_head_rounds_what_its_layers_multiply(build_network, drawn_path):
    config = DynamicConfig(backbone=MobileNetV2Config(width=0.35), num_classes=33)
    model = build_network(config, 0).float()
    images = torch.randn(5, 3, 40, 33)
    engine, path = backend(model, images, threads=2), drawn_path(model, 5, 1.0, None)
    (part,) = engine(images, path)
    head, linear = engine.plan.head.layer, engine.plan.head.linear
    averages = activate(rounds(head.conv, part.features.double()), head.activation).mean((2, 3))
    for weight in (linear.weight.double(), rounded(linear.weight.double())):
        expected = F.linear(rounded(averages), weight, linear.bias.double())
        off = float((part.logits - expected).abs().max() / expected.abs().max())
        assert (off < 0.1 * ROUNDING) == weight.equal(rounded(weight))


@has_instructions
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("block", "paths", "group"),
    [("basic", 1, None), ("bottleneck", 3, None), ("basic", 1, 1), ("bottleneck", 1, 16)],
)
def test_instructions_and_their_emulation_give_the_same_bits(
    build_resnet, drawn_path, block, paths, group, threads
):
    channels = group is not None
    model = build_resnet(
        block, (20, 33), "imagenet", paths, channels, "projection", group or 1
    ).float()
    images = torch.randn(4, 3, 41, 37)
    generator = torch.Generator().manual_seed(threads)
    path = drawn_path(model, 4, 0.7, generator, group or 1)
    emulation = EMULATIONS[int(library(torch.float32, BFLOAT16).multiplies_matrices())]
    parts = [
        backend(model, images, *flags, threads=threads)(images, path)[0]
        for flags in ((), emulation)
    ]
    assert parts[0].features.equal(parts[1].features)
    assert parts[0].logits.equal(parts[1].logits)


@settings(max_examples=10)
@given(data=st.data())
def test_no_number_is_further_off_than_roundings_allow(build_network, drawn_path, data):
    """One block of few channels: layer by layer the worst case grows by the sum of its weights."""
    draw = data.draw
    block, paths = draw(st.sampled_from(["basic", "bottleneck"])), draw(st.integers(1, 2))
    backbone = ResNetConfig(block=block, depths=(1,), widths=(4,), stem="cifar")
    config = DynamicConfig(
        backbone=backbone,
        num_classes=3,
        granularity=Granularity(paths=paths),
        router=ShortRangeRouterConfig(dim=4),
        gate=GumbelSoftmaxGateConfig(),
    )
    model = build_network(config, draw(st.integers(0, 9))).float()
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    images = draw(st.sampled_from([1.0, 1e4])) * torch.randn(2, 3, 9, 11, generator=generator)
    path = drawn_path(model, 2, 0.7, generator)
    engine = backend(model, images)
    (part,) = engine(images, path)
    exact, allowed = bounds(engine.plan, images, path)
    off = (part.features.double() - exact).abs()
    assert bool((off <= allowed).all())
    assert float(allowed.mean()) < float(exact.abs().max()), "the bound says something"
    assert bool((off > 0).any()), "it rounds"


@pytest.mark.parametrize("depth", [2, 9])
@torch.no_grad()
def test_logits_stay_within_the_stated_bound(build_network, depth):
    backbone = ResNetConfig(block="basic", depths=(depth,) * 2, widths=(16, 32), stem="cifar")
    model = build_network(DynamicConfig(backbone=backbone, num_classes=10), 0).float()
    images = torch.randn(16, 3, 16, 16)
    (part,) = backend(model, images)(images, None)
    exact = copy.deepcopy(model).double()(images.double()).logits
    error = float((part.logits - exact).abs().max())
    assert error <= logit_bound(2 * 2 * depth, float(exact.abs().max()))


@has_instructions
@torch.no_grad()
def test_routers_read_averages_of_sums_in_float32(build_resnet):
    """Nothing runs: what they read is what the stem gave, though blocks would read it rounded."""
    model = build_resnet("basic", (16,), "cifar", 1, False, "projection").float()
    for gate in model.gates.values():
        gate.head.weight.zero_()
        gate.head.bias.copy_(torch.tensor([1.0, -1.0]))
    images = torch.randn(3, 3, 12, 12)
    output = Engine(model, images, precision="bf16", threads=1)(images)
    assert not output.path.on.any()
    torch.testing.assert_close(output.pooled[1], output.features.mean((2, 3)), rtol=1e-5, atol=1e-6)
    assert not output.features.equal(rounded(output.features))


@pytest.fixture
def network(networks) -> DynamicNetwork:
    return copy.deepcopy(networks["blend"]).float()


@has_instructions
@torch.no_grad()
def test_the_default_is_bfloat16_unless_its_check_finds_a_loss(network, images):
    images = images.float()
    assert Engine(network, images, threads=1, precision="fp32").precision == "fp32"
    gate = next(iter(network.gates.values()))
    many = checked_images(images)
    exact, near = (
        Engine(network, images, threads=1, precision=precision)(many)
        for precision in ("fp32", "bf16")
    )
    margins = [
        F.linear(output.router_features[0], gate.head.weight, gate.head.bias).diff(dim=1)[:, 0]
        for output in (exact, near)
    ]
    turned = int((margins[0] - margins[1]).abs().argmax())
    assert margins[0][turned] != margins[1][turned], "the stem rounds"
    for other in list(network.gates.values())[1:]:
        other.head.weight.zero_()
    assert Engine(network, images, threads=1).precision == "bf16"
    gate.head.bias[1] -= (margins[0][turned] + margins[1][turned]) / 2
    assert Engine(network, images, threads=1).precision == "fp32"
    rounded = Engine(network, images, threads=1, precision="bf16")
    assert rounded.compare(many[turned : turned + 1]).other_path == 1


@has_instructions
def test_a_loss_of_numbers_is_found(network, images):
    """Numbers that bfloat16 tells no more apart: one class wins by less than a rounding."""
    images = images.float()
    with torch.no_grad(), patch.object(_network, "keeps_answers", lambda *_: False):
        assert Engine(network, images, threads=1).precision == "fp32"


def test_the_check_looks_at_random_images_like_the_example():
    example = torch.tensor([2.0, -5.0, 0.0])[:, None, None] + torch.zeros(3, 3, 9, 9)
    example[:, :2] += 0.1 * torch.randn(3, 2, 9, 9)
    many = checked_images(example)
    assert len(many) == CHECKED
    assert many[:3].equal(example)
    assert many.equal(checked_images(example)), "an engine's precision is no matter of chance"
    assert many.flatten(1).unique(dim=0).shape[0] == CHECKED
    means, spreads = torch.tensor([2.0, -5.0, 0.0]), torch.tensor([0.1, 0.1, 1.0])
    torch.testing.assert_close(many.mean((0, 2, 3)), means, atol=0.1, rtol=0)
    torch.testing.assert_close(many[-1].std((1, 2)), spreads, atol=0.05, rtol=0.3)
    more = torch.zeros(CHECKED + 1, 3, 4, 4)
    assert checked_images(more).equal(more)


@has_instructions
def test_it_runs_between_operations_of_torch(network, images):
    """Stem, routers and head that are not compiled read and write the same maps."""
    images = images.float()
    whole = Engine(network, images, threads=2, precision="bf16")
    ends = network.backbone.conv1, network.backbone.fc
    for module in (*ends, *network.routers.values()):
        module.register_forward_hook(lambda *_: None)
    apart = Engine(network, images, threads=2, precision="bf16")
    assert {"stem", "head", "block 1 router"} <= set(apart.profile().modules)
    path = whole(images).path
    exact = Engine(network, images, threads=2, precision="fp32")(images, path=path).logits
    errors = [float((e(images, path=path).logits - exact).abs().max()) for e in (apart, whole)]
    assert 0 < errors[0] < 2 * errors[1]


@has_instructions
def test_a_pickled_engine_keeps_its_precision(network, images):
    images = images.float()
    for precision in ("bf16", "fp32", None):
        engine = Engine(network, images, threads=1, precision=precision)
        again = pickle.loads(pickle.dumps(engine))
        assert again.precision == engine.precision
        assert again(images).logits.equal(engine(images).logits)


def test_what_cannot_be_had_is_refused(networks, network, images):
    with pytest.raises(ValueError, match="precision 'bf16' is for networks in float32"):
        Engine(networks["blend"], images, precision="bf16")
    with pytest.raises(ValueError, match="leave portable=True out"):
        Engine(network, images.float(), precision="bf16", portable=True)
    with (
        patch.object(_network, "multiplies_bfloat16", lambda: False),
        pytest.raises(ValueError, match="AVX512-BF16"),
    ):
        Engine(network, images.float(), precision="bf16")


def test_without_instructions_the_default_is_float32(network, images):
    with patch.object(_network, "multiplies_bfloat16", lambda: False):
        engine = Engine(network, images.float(), threads=1)
    assert engine.precision == "fp32"
    assert math.isfinite(float(engine(images.float()).logits.sum()))
