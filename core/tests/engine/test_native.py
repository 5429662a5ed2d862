"""The engine's compiled code, against the model in float64."""

import copy
import functools
import logging
import platform
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyncore import Engine, ExecutionPath
from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import Granularity
from dyncore.engine import _compiled
from dyncore.engine._native_runner import NativeRunner
from dyncore.engine._packing import Store
from dyncore.engine._picking import _break_even
from dyncore.gating import (
    Affine,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    LeanRouter,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
)
from dyncore.native import _build
from dyncore.network import DynamicConfig, DynamicNetwork


def build(
    block: str,
    widths: tuple[int, ...],
    stem: str,
    paths: int,
    channels: bool,
    shortcut: str,
    group: int = 1,
):
    config = DynamicConfig(
        backbone=ResNetConfig(
            block=block, depths=(2,) * len(widths), widths=widths, stem=stem, shortcut=shortcut
        ),
        num_classes=3,
        granularity=Granularity(paths=paths, channels=channels),
        router=IdentityRouterConfig() if channels else ShortRangeRouterConfig(dim=4),
        gate=ReLU1GateConfig(channel_group=group) if channels else GumbelSoftmaxGateConfig(),
    )
    model = DynamicNetwork(config).eval().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def drawn(
    model: DynamicNetwork, images: int, share: float, generator: torch.Generator, group: int = 1
) -> ExecutionPath:
    """A path whose decisions are drawn, those of ``group`` channels at once; weights are 1."""
    channels = model.channels_per_block
    on, *groups = (
        torch.rand(images, columns, generator=generator) < share
        for columns in (sum(model.paths_per_block), *(-(-count // group) for count in channels))
    )
    channel_on = torch.cat(
        [
            chosen.repeat_interleave(min(group, count), 1)[:, :count]
            for chosen, count in zip(groups, channels, strict=True)
        ],
        1,
    )
    return ExecutionPath.of(
        on,
        model.paths_per_block,
        channel_on if sum(channels) else None,
        channels,
        dtype=torch.float64,
    )


def assert_agrees(engine: Engine, model: DynamicNetwork, images: torch.Tensor, path) -> None:
    with torch.no_grad():
        expected = model(images, path=path)
    ours = engine(images, path=path)
    for name in ("logits", "features"):
        torch.testing.assert_close(
            getattr(ours, name), getattr(expected, name), rtol=1e-9, atol=1e-9
        )


@pytest.mark.needs_compiler
@settings(max_examples=30)
@given(data=st.data())
def test_any_size_of_maps_batches_and_teams(data):
    """Tiles are cut by width, channels by vectors, images and rows by threads: all at odds."""
    draw = data.draw
    channels = draw(st.booleans())
    group = draw(st.sampled_from([1, 3, 16, 2**40]))
    model = build(
        draw(st.sampled_from(["basic", "bottleneck"])),
        draw(st.sampled_from([(3, 5), (8,), (16, 24), (33,)])),
        draw(st.sampled_from(["cifar", "cifar2", "imagenet"])),
        1 if channels else draw(st.integers(1, 3)),
        channels,
        draw(st.sampled_from(["projection", "pad"])),
        group,
    )
    size, images = (draw(st.integers(5, 37)), draw(st.integers(5, 37))), draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    given_images = torch.randn(images, 3, *size, generator=generator, dtype=torch.float64)
    engine = Engine(model, given_images[:1], threads=draw(st.integers(1, 3)))
    assert isinstance(engine._runner, NativeRunner)
    picked = draw(st.booleans())
    for block in engine._runner.network.blocks:
        assert 0 <= block.block.most_picked <= block.plan.channels
        block.block.most_picked = block.plan.channels if picked else 0
    path = drawn(model, images, draw(st.sampled_from([0.0, 0.4, 0.9, 1.0])), generator, group)
    assert_agrees(engine, model, given_images, path)
    assert_agrees(engine, model, given_images, None)


@pytest.mark.needs_compiler
@torch.no_grad()
def test_long_sums_do_not_swallow_small_terms():
    """A first term of 2²⁴ among 2304: in one float32 sum all others would be rounded away."""
    torch.manual_seed(0)
    model = build("basic", (256,), "cifar", 1, False, "projection")
    model.backbone.conv1.weight.abs_()
    first, second = (m for m in model.backbone.blocks[0].modules() if isinstance(m, nn.Conv2d))
    first.weight.fill_(0.5)
    first.weight[:, 0, 0, 0] = 2.0**24
    second.weight.abs_()
    images = torch.rand(2, 3, 8, 8)
    path = drawn(model, 2, 1.0, torch.Generator())
    expected = model(images.double(), path=path).logits
    found = Engine(model.float(), images[:1])(images, path=path).logits
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5 * expected.abs().max())


@pytest.mark.parametrize(
    ("few", "many", "dense", "most"),
    [
        ((2, 1.0), (6, 3.0), 2.0, 4),
        ((2, 1.0), (6, 3.0), 9.0, 8),
        ((2, 1.0), (6, 3.0), 0.1, 0),
        ((2, 1.0), (6, 1.0), 2.0, 8),
        ((2, 3.0), (6, 1.0), 2.0, 0),
    ],
)
def test_channels_are_picked_up_to_where_all_of_them_are_as_fast(few, many, dense, most):
    assert _break_even(few, many, dense, 8) == most


@pytest.mark.needs_compiler
def test_weights_other_than_one_scale_each_path():
    model = build("bottleneck", (8,), "cifar", 3, False, "projection")
    images = torch.randn(4, 3, 9, 9, dtype=torch.float64)
    path = drawn(model, 4, 0.7, torch.Generator().manual_seed(0))
    for decision in path:
        decision.weight.mul_(torch.rand_like(decision.weight))
    assert_agrees(Engine(model, images, threads=2), model, images, path)


@pytest.mark.needs_compiler
def test_routers_that_are_known_run_without_torch(networks, images):
    for name, network in networks.items():
        runner = Engine(network, images, threads=2)._runner
        if isinstance(runner, NativeRunner):
            assert runner.network._steps is not None, name


def drawn_router(in_channels: int, dim: int, index: int) -> LeanRouter:
    """One with everything that a router may have; the first has no predecessor."""
    affine = [
        Affine(torch.randn(dim, inputs).double() / inputs**0.5, torch.randn(dim).double())
        for inputs in (in_channels, dim, dim)
    ]
    return LeanRouter(affine[0], (0.5, 0.25), affine[1], affine[2] if index else None, memory=2)


@pytest.mark.needs_compiler
@settings(max_examples=15)
@given(
    dim=st.integers(1, 90) | st.integers(130, 150),
    images=st.integers(1, 4),
    threads=st.integers(1, 3),
)
def test_threads_share_the_routers_of_fewer_images(dim, images, threads):
    """Against the same routers in torch, one layer after the other.

    For one image, layers up to 2¹⁴ weights are each thread's own work, larger ones are shared.
    """
    torch.manual_seed(dim)
    model = build("basic", (8, 24), "cifar", 1, False, "projection")
    for index in range(4):
        model.gates[str(index)].head = nn.Linear(dim, 2).double()
        lean = drawn_router(model.routers[str(index)].align.in_features, dim, index)
        model.routers[str(index)].lean = functools.partial(lambda lean: lean, lean)
        model.routers[str(index)].forward = lean
    given_images = torch.randn(images, 3, 9, 9, dtype=torch.float64)
    engine = Engine(model, given_images, threads=threads)
    ours = engine(given_images)
    assert engine._runner.network._steps is not None
    engine._runner.network._steps = None
    expected = engine(given_images)
    torch.testing.assert_close(ours.logits, expected.logits, rtol=1e-9, atol=1e-9)
    for name in ("router_features", "pooled"):
        for a, b in zip(getattr(ours, name), getattr(expected, name), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    for a, b in zip(ours.path, expected.path, strict=True):
        assert a.on.equal(b.on)


@pytest.mark.needs_compiler
@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_weights_lie_in_private_memory():
    """Linux gives huge pages to no other; Python's maps are shared unless told otherwise."""
    code = _compiled.library(torch.float32)
    store = Store(code, torch.float32, threads=1)
    address = store.keep(torch.zeros(8))
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, last = line.split()[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            assert line.split()[1].endswith("p")
            return
    raise AssertionError("the arena is not mapped")


@pytest.mark.needs_compiler
def test_a_router_of_ones_own_runs_as_it_is(networks, images):
    model = copy.deepcopy(networks["blend"])
    for router in model.routers.values():
        router.lean = functools.partial(lambda module: module, router)
    engine = Engine(model, images, threads=2)
    assert isinstance(engine._runner, NativeRunner)
    assert engine._runner.network._steps is None
    assert_agrees(engine, model, images, None)


@pytest.mark.needs_compiler
def test_large_batches_run_in_portions():
    model = build("basic", (4, 8), "cifar", 1, False, "pad")
    images = torch.randn(7, 3, 8, 8, dtype=torch.float64)
    engine = Engine(model, images, threads=2)
    engine._runner._portion = 3
    path = drawn(model, 7, 0.5, torch.Generator().manual_seed(1))
    assert_agrees(engine, model, images, path)


@pytest.mark.needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86")
@pytest.mark.parametrize("flags", [("-mavx2", "-mfma"), ("-msse2",)])
def test_processors_with_shorter_vectors(monkeypatch, tmp_path, flags):
    others = tuple(flag for flag in _build.FLAGS if not flag.startswith("-march"))
    monkeypatch.setattr(_build, "FLAGS", others + flags)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _compiled.library.cache_clear()
    try:
        mobilenet = DynamicConfig(backbone=MobileNetV2Config(width=0.35), num_classes=3)
        models = (
            build("bottleneck", (12, 24), "cifar", 1, False, "projection"),
            build("bottleneck", (12, 24), "cifar", 1, True, "projection"),
            DynamicNetwork(mobilenet).eval().double(),
        )
        images = torch.randn(3, 3, 15, 9, dtype=torch.float64)
        for model in models:
            engine = Engine(model, images, threads=2)
            assert isinstance(engine._runner, NativeRunner)
            path = drawn(model, 3, 0.6, torch.Generator().manual_seed(2))
            assert_agrees(engine, model, images, path)
    finally:
        _compiled.library.cache_clear()


@pytest.mark.needs_compiler
def test_compiled_once_per_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _compiled.library.cache_clear()
    try:
        _compiled.library(torch.float32)
        (built,) = tmp_path.rglob("*.so")
        before = built.stat().st_mtime_ns
        _compiled.library.cache_clear()
        _compiled.library(torch.float32)
        assert [file.stat().st_mtime_ns for file in tmp_path.rglob("*.so")] == [before]
    finally:
        _compiled.library.cache_clear()


def test_without_a_working_compiler_engines_run_and_say_so(monkeypatch, tmp_path, caplog):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    _compiled.library.cache_clear()
    try:
        model = build("basic", (4,), "cifar", 1, False, "projection")
        images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        with caplog.at_level(logging.WARNING):
            engine = Engine(model, images, threads=1)
        assert not isinstance(engine._runner, NativeRunner)
        assert "without native code" in caplog.text
        assert_agrees(engine, model, images, None)
    finally:
        _compiled.library.cache_clear()
