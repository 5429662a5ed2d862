"""Gates of which some decisions are fixed."""

import pytest
import torch

from dyncore.gating import (
    BlindRouter,
    FrozenGate,
    GumbelSoftmaxGateConfig,
    ReLU1GateConfig,
)


@pytest.mark.parametrize("relaxed", [True, False])
@pytest.mark.parametrize("fixed", [(True, None), (None, False), (False, True), (None, None)])
def test_fixed_columns_hold_and_the_others_are_the_gates(fixed, relaxed):
    torch.manual_seed(0)
    inner = GumbelSoftmaxGateConfig().build(4, paths=2, channels=0, keep_one=False)
    feature, noise = torch.randn(8, 4), torch.randn(8, 2, 2)
    free, found = (
        gate(feature, noise, relaxed=relaxed) for gate in (inner, FrozenGate(fixed, gate=inner))
    )
    for n, value in enumerate(fixed):
        columns = [(found.on, free.on), (found.weight, free.weight)]
        if relaxed:
            columns.append((found.training.paths, free.training.paths))
        for one, other in columns:
            expected = other[:, n] if value is None else torch.full_like(other[:, n], value)
            assert one[:, n].equal(expected)


def test_without_a_gate_everything_is_the_same_for_every_image():
    decision = FrozenGate((True, False))(torch.zeros(3, 0, dtype=torch.float64), relaxed=False)
    assert decision.on.tolist() == [[True, False]] * 3
    assert decision.weight.dtype == torch.float64
    assert decision.channels is None
    off = FrozenGate((False,), channels=2)(torch.zeros(3, 0), relaxed=False)
    assert off.channels.on.tolist() == [[False, False]] * 3


def test_channels_go_on_deciding_in_a_block_that_is_always_on():
    torch.manual_seed(0)
    inner = ReLU1GateConfig().build(4, paths=1, channels=3, keep_one=False)
    torch.nn.init.normal_(inner.head.bias)
    feature = torch.randn(8, 4)
    gate = FrozenGate((True,), 3, inner)
    assert gate.scales
    found, free = gate(feature, relaxed=False), inner(feature, relaxed=False)
    assert found.weight.eq(1).all()
    assert found.channels.weight.equal(free.channels.weight)
    assert 0 < found.channels.on.float().mean() < 1


@pytest.mark.parametrize(("fixed", "channels"), [((None, True), 0), ((True,), 3)])
def test_what_is_not_fixed_needs_a_gate(fixed, channels):
    with pytest.raises(ValueError, match="need a gate to decide"):
        FrozenGate(fixed, channels)


def test_forced_decisions_agree_where_something_is_fixed():
    gate = FrozenGate(
        (True, None), gate=GumbelSoftmaxGateConfig().build(4, paths=2, channels=0, keep_one=False)
    )
    assert gate.agrees(torch.tensor([[True, False], [True, True]]))
    assert not gate.agrees(torch.tensor([[True, False], [False, True]]))


def test_a_blind_router_hands_the_state_on():
    state = (torch.ones(2, 3),)
    feature, after = BlindRouter()(torch.ones(2, 5), state)
    assert feature.shape == (2, 0)
    assert after is state
