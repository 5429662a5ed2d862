"""Compiling native code: once, for the processor that is there, and not at all where that fails."""

import logging
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dyncore import Engine
from dyncore.backbones import MobileNetV2Config
from dyncore.engine.native import NativeBackend, _library
from dyncore.engine.native._packing import Store
from dyncore.engine.native._team import Crew
from dyncore.native import _build
from dyncore.network import DynamicConfig, DynamicNetwork


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Iterator[Path]:
    """Where libraries are kept; none has been loaded or compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _library.library.cache_clear()
    yield tmp_path
    _library.library.cache_clear()


@pytest.mark.needs_compiler
def test_compiled_once_per_user(cache):
    _library.library(torch.float32)
    (built,) = cache.rglob("*.so")
    before = built.stat().st_mtime_ns
    _library.library.cache_clear()
    _library.library(torch.float32)
    assert [file.stat().st_mtime_ns for file in cache.rglob("*.so")] == [before]


@pytest.mark.needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of x86")
@pytest.mark.parametrize("flags", [("-mavx2", "-mfma"), ("-msse2",)])
def test_processors_with_shorter_vectors(
    build_resnet, drawn_path, assert_agrees, monkeypatch, cache, flags
):
    others = tuple(flag for flag in _build.FLAGS if not flag.startswith("-march"))
    monkeypatch.setattr(_build, "FLAGS", others + flags)
    mobilenet = DynamicConfig(backbone=MobileNetV2Config(width=0.35), num_classes=3)
    models = (
        build_resnet("bottleneck", (12, 24), "cifar", 1, False, "projection"),
        build_resnet("bottleneck", (12, 24), "cifar", 1, True, "projection"),
        DynamicNetwork(mobilenet).eval().double(),
    )
    images = torch.randn(3, 3, 15, 9, dtype=torch.float64)
    for model in models:
        engine = Engine(model, images, threads=2)
        assert isinstance(engine._runner.backend, NativeBackend)
        path = drawn_path(model, 3, 0.6, torch.Generator().manual_seed(2))
        assert_agrees(engine, model, images, path)


def test_without_a_working_compiler_engines_run_and_say_so(
    build_resnet, assert_agrees, monkeypatch, cache, caplog
):
    compiler = cache / "c++"
    compiler.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    model = build_resnet("basic", (4,), "cifar", 1, False, "projection")
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with caplog.at_level(logging.WARNING):
        engine = Engine(model, images, threads=1)
    assert not isinstance(engine._runner.backend, NativeBackend)
    assert "without native code" in caplog.text
    assert_agrees(engine, model, images, None)


@pytest.mark.needs_compiler
@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_weights_lie_in_private_memory():
    """Linux gives huge pages to no other; Python's maps are shared unless told otherwise."""
    code = _library.library(torch.float32)
    store = Store(Crew(code, threads=1), torch.float32)
    address = store.keep(torch.zeros(8))
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, last = line.split()[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            assert line.split()[1].endswith("p")
            return
    raise AssertionError("the arena is not mapped")
