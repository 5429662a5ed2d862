"""Compiled routers, against the same ones in torch."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyncore import Engine
from dyncore.engine._executor import walk
from dyncore.engine.native import NativeBackend
from dyncore.gating import Affine, Router, RouterWeights

pytestmark = pytest.mark.needs_compiler


def test_routers_that_are_known_run_without_torch(gated_network, images):
    backend = Engine(gated_network, images, threads=2)._runner.backend
    assert isinstance(backend, NativeBackend)
    assert backend.network.routing is not None


class WeightsRouter(Router):
    """Computes what its weights say, and may keep them to itself."""

    def __init__(self, weights: RouterWeights, *, tells: bool = True) -> None:
        super().__init__()
        self.weights, self.tells = weights, tells

    def forward(self, pooled, state):
        return self.weights(pooled, state)

    def as_weights(self) -> RouterWeights | None:
        return self.weights if self.tells else None


def drawn_weights(in_channels: int, dim: int, index: int) -> RouterWeights:
    """Those of a router with everything that a router may have; the first has no predecessor."""
    affine = [
        Affine(torch.randn(dim, inputs).double() / inputs**0.5, torch.randn(dim).double())
        for inputs in (in_channels, dim, dim)
    ]
    return RouterWeights(affine[0], (0.5, 0.25), affine[1], affine[2] if index else None, memory=2)


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
        inputs = model.routers[str(index)].align.in_features
        model.routers[str(index)] = WeightsRouter(drawn_weights(inputs, dim, index))
    given_images = torch.randn(images, 3, 9, 9, dtype=torch.float64)
    engine = Engine(model, given_images, threads=threads)
    ours = engine(given_images)
    network = engine._runner.backend.network
    assert network.routing is not None
    expected = walk(network, given_images, None)
    torch.testing.assert_close(ours.logits, expected.logits, rtol=1e-9, atol=1e-9)
    for name in ("router_features", "pooled"):
        for a, b in zip(getattr(ours, name), getattr(expected, name), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    for a, b in zip(ours.path, expected.decisions, strict=True):
        assert a.on.equal(b.on)


def test_a_router_of_ones_own_runs_as_it_is(assert_agrees, networks, images):
    model = copy.deepcopy(networks["blend"])
    for key, router in model.routers.items():
        model.routers[key] = WeightsRouter(router.as_weights(), tells=False)
    engine = Engine(model, images, threads=2)
    assert isinstance(engine._runner.backend, NativeBackend)
    assert engine._runner.backend.network.routing is None
    assert_agrees(engine, model, images, None)
