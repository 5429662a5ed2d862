"""Routers and gates as weights answer as the modules do."""

import pytest
import torch
from torch import nn

from dyncore.gating import (
    Affine,
    ContextRouterConfig,
    GateWeights,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    RouterWeights,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
    describes,
    is_plain,
)

CHANNELS, DIM, IMAGES = 6, 5, 16


@pytest.mark.parametrize(
    "config",
    [
        IdentityRouterConfig(),
        ShortRangeRouterConfig(dim=DIM),
        ShortRangeRouterConfig(dim=DIM, norm=False),
        ContextRouterConfig(dim=DIM),
        ContextRouterConfig(dim=DIM, norm=False),
        ContextRouterConfig(dim=DIM, norm=False, previous=False),
    ],
)
@torch.no_grad()
def test_routers_in_a_row(config):
    state, our_state = (), ()
    for index in range(4):
        router = randomised(config.build(CHANNELS, index))
        weights = router.as_weights()
        assert isinstance(weights, RouterWeights)
        pooled = torch.randn(IMAGES, CHANNELS, dtype=torch.float64)
        feature, state = router(pooled, state)
        ours, our_state = weights(pooled.clone(), our_state)
        torch.testing.assert_close(ours, feature, rtol=0, atol=1e-12)
        assert len(our_state) == len(state)
        for one, other in zip(our_state, state, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def randomised(router: nn.Module) -> nn.Module:
    """In float64 and evaluation, with norms that are not the identity."""
    for module in router.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return router.double().eval()


class DoubledLinear(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def hooked(linear: nn.Linear) -> nn.Linear:
    linear.register_forward_hook(lambda module, inputs, output: 2 * output)
    return linear


def patched(linear: nn.Linear) -> nn.Linear:
    linear.forward = lambda x: 2 * nn.functional.linear(x, linear.weight, linear.bias)
    return linear


def parametrised(linear: nn.Linear) -> nn.Linear:
    return nn.utils.parametrizations.weight_norm(linear)


@pytest.mark.parametrize("kind", ["subclass", hooked, patched, parametrised])
def test_a_layer_that_computes_something_else_has_no_weights(kind):
    linear = DoubledLinear(DIM, DIM) if kind == "subclass" else kind(nn.Linear(DIM, DIM))
    assert not is_plain(linear, nn.Linear)
    assert Affine.of(linear) is None
    router = ShortRangeRouterConfig(dim=DIM).build(CHANNELS, 0)
    assert router.as_weights() is not None
    router.mix = linear
    assert router.as_weights() is None


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(DIM), nn.BatchNorm1d(DIM, track_running_stats=False)]
)
def test_a_norm_that_depends_on_the_batch_does_not_fold(norm):
    assert Affine.of(nn.Linear(DIM, DIM), norm) is None


def test_who_overrides_forward_alone_is_not_described():
    router = ContextRouterConfig(dim=DIM).build(CHANNELS, 1)
    assert describes(router, "as_weights", "forward")

    class Doubled(type(router)):
        def forward(self, pooled, state):
            feature, state = super().forward(pooled, state)
            return 2 * feature, state

    router.__class__ = Doubled
    assert not describes(router, "as_weights", "forward")

    class DoubledTwice(Doubled):
        def as_weights(self):
            return None

    router.__class__ = DoubledTwice
    assert describes(router, "as_weights", "forward")
    router.forward = None
    assert not describes(router, "as_weights", "forward")


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
    weights = gate.as_weights()
    assert isinstance(weights, GateWeights)
    ours, expected = weights(feature), gate(feature, relaxed=False)
    assert (ours.channels is None) == (expected.channels is None) == (channels == 0)
    for one, other in zip(ours.choices, expected.choices, strict=True):
        assert one.on.equal(other.on)
        torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=1e-12)
