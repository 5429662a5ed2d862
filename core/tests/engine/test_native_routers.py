"""Compiled routers, against the same ones in torch."""

import copy
import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyncore import Engine
from dyncore.engine._native_runner import NativeRunner
from dyncore.gating import Affine, LeanRouter

pytestmark = pytest.mark.needs_compiler


def test_routers_that_are_known_run_without_torch(gated_network, images):
    runner = Engine(gated_network, images, threads=2)._runner
    assert isinstance(runner, NativeRunner)
    assert runner.network._steps is not None


def drawn_router(in_channels: int, dim: int, index: int) -> LeanRouter:
    """One with everything that a router may have; the first has no predecessor."""
    affine = [
        Affine(torch.randn(dim, inputs).double() / inputs**0.5, torch.randn(dim).double())
        for inputs in (in_channels, dim, dim)
    ]
    return LeanRouter(affine[0], (0.5, 0.25), affine[1], affine[2] if index else None, memory=2)


@settings(max_examples=15)
@given(
    dim=st.integers(1, 90) | st.integers(130, 150),
    images=st.integers(1, 4),
    threads=st.integers(1, 3),
)
def test_threads_share_the_routers_of_fewer_images(build_resnet, dim, images, threads):
    """Against the same routers in torch, one layer after the other.

    For one image, layers up to 2¹⁴ weights are each thread's own work, larger ones are shared.
    """
    torch.manual_seed(dim)
    model = build_resnet("basic", (8, 24), "cifar", 1, False, "projection")
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


def test_a_router_of_ones_own_runs_as_it_is(assert_agrees, networks, images):
    model = copy.deepcopy(networks["blend"])
    for router in model.routers.values():
        router.lean = functools.partial(lambda module: module, router)
    engine = Engine(model, images, threads=2)
    assert isinstance(engine._runner, NativeRunner)
    assert engine._runner.network._steps is None
    assert_agrees(engine, model, images, None)
