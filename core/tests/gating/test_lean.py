"""Routers and gates as weights answer as the modules do."""

import pytest
import torch
from torch import nn

from dyncore.gating import (
    ContextRouterConfig,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    LeanGate,
    LeanRouter,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
)

CHANNELS, DIM, IMAGES = 6, 5, 16


@pytest.mark.parametrize(
    "config",
    [
        IdentityRouterConfig(),
        ShortRangeRouterConfig(dim=DIM, norm=False),
        ContextRouterConfig(dim=DIM, norm=False),
        ContextRouterConfig(dim=DIM, norm=False, previous=False),
    ],
)
@torch.no_grad()
def test_routers_in_a_row(config):
    state, lean_state = (), ()
    for index in range(4):
        router = config.build(CHANNELS, index).double()
        lean = router.lean()
        assert isinstance(lean, LeanRouter)
        pooled = torch.randn(IMAGES, CHANNELS, dtype=torch.float64)
        feature, state = router(pooled, state)
        ours, lean_state = lean(pooled.clone(), lean_state)
        torch.testing.assert_close(ours, feature, rtol=0, atol=1e-12)
        assert len(lean_state) == len(state)
        for one, other in zip(lean_state, state, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_router_whose_norm_was_not_folded_stays_a_module():
    router = ShortRangeRouterConfig(dim=DIM).build(CHANNELS, 0)
    assert router.lean() is router


@pytest.mark.parametrize("keep_one", [False, True])
@pytest.mark.parametrize(
    ("config", "paths", "channels"),
    [
        (GumbelSoftmaxGateConfig(), 1, 0),
        (StraightThroughGateConfig(), 3, 0),
        (ReLU1GateConfig(), 2, 0),
        (ReLU1GateConfig(), 1, 7),
        (ReLU1GateConfig(blocks=False), 1, 7),
        (ReLU1GateConfig(channel_group=3), 2, 7),
    ],
)
@torch.no_grad()
def test_gates(config, paths, channels, keep_one):
    gate = config.build(DIM, paths=paths, channels=channels, keep_one=keep_one).double()
    nn.init.normal_(gate.head.weight)
    nn.init.normal_(gate.head.bias)
    feature = torch.randn(IMAGES, DIM, dtype=torch.float64)
    lean = gate.lean()
    assert isinstance(lean, LeanGate)
    ours, expected = lean(feature), gate(feature, relaxed=False)
    assert (ours.channels is None) == (expected.channels is None) == (channels == 0)
    for one, other in zip(ours.choices, expected.choices, strict=True):
        assert one.on.equal(other.on)
        torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=1e-12)
