import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore.gating import ReLU1Gate, ReLU1GateConfig

SCORES = [-2.0, -0.5, 0.25, 0.75, 1.5, 3.0]


def identity_gate(paths: int, channels: int, leak: float = 0.1, keep_one=False) -> ReLU1Gate:
    """A gate whose scores are its feature."""
    gate = ReLU1GateConfig(leak=leak).build(
        paths + channels, paths=paths, channels=channels, keep_one=keep_one
    )
    with torch.no_grad():
        gate.head.weight.copy_(torch.eye(paths + channels))
        gate.head.bias.zero_()
    return gate.double()


def scores(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64, requires_grad=True)


def test_relaxed_value_and_slope_leak_on_both_sides():
    score = scores(*SCORES)

    weight = identity_gate(len(SCORES), 0)(score, relaxed=True).weight
    weight.sum().backward()

    torch.testing.assert_close(weight.tolist(), [[-0.2, -0.05, 0.25, 0.75, 1.05, 1.2]])
    torch.testing.assert_close(score.grad.tolist(), [[0.1, 0.1, 1.0, 1.0, 0.1, 0.1]])


def test_hard_value_and_slope_are_clamped():
    score = scores(*SCORES)

    weight = identity_gate(len(SCORES), 0)(score, relaxed=False).weight
    weight.sum().backward()

    assert weight.tolist() == [[0.0, 0.0, 0.25, 0.75, 1.0, 1.0]]
    assert score.grad.tolist() == [[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]]


def test_noise_free_counts_what_is_on_with_the_gradient_of_the_salience():
    score = scores(*SCORES)

    decision = identity_gate(2, 4)(score, relaxed=True)
    counted = torch.cat([decision.training.paths, decision.training.channels], dim=1)
    counted.sum().backward()

    assert counted.tolist() == [[0.0, 0.0, 1.0, 1.0, 1.0, 1.0]]
    torch.testing.assert_close(score.grad.tolist(), [[0.1, 0.1, 1.0, 1.0, 0.1, 0.1]])
    assert identity_gate(2, 4)(score, relaxed=False).training is None


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.booleans())
def test_on_is_where_the_clamped_score_is_positive(values, relaxed):
    gate = identity_gate(1, 3)
    score = torch.tensor([values], dtype=torch.float64)

    decision = gate(score, relaxed=relaxed)
    hard = gate(score, relaxed=False)

    weight = torch.cat([hard.weight, hard.channels.weight], dim=1)
    assert ((weight >= 0) & (weight <= 1)).all()
    on = torch.cat([decision.on, decision.channels.on], dim=1)
    assert on.equal(weight > 0)


def test_first_scores_are_paths_and_the_others_channels():
    decision = identity_gate(2, 3)(scores(0.1, -1.0, 0.3, -1.0, 0.5), relaxed=False)

    assert decision.weight.tolist() == [[0.1, 0.0]]
    assert decision.channels.weight.tolist() == [[0.3, 0.0, 0.5]]
    assert decision.channels.on.tolist() == [[True, False, True]]


def test_without_channels_there_is_no_channel_decision():
    decision = identity_gate(2, 0)(scores(0.1, -1.0), relaxed=False)

    assert decision.channels is None


@pytest.mark.parametrize("relaxed", [True, False])
def test_without_blocks_only_channels_have_scores_and_paths_are_on(relaxed):
    gate = ReLU1GateConfig(blocks=False).build(4, paths=1, channels=3, keep_one=False).double()
    whole = ReLU1GateConfig().build(4, paths=1, channels=3, keep_one=False).double()
    with torch.no_grad():
        gate.head.weight.copy_(whole.head.weight[1:])
        gate.head.bias.copy_(whole.head.bias[1:] - 1)
        whole.head.bias.sub_(1)
    feature = torch.linspace(-5, 5, 12, dtype=torch.float64).reshape(3, 4)

    decision, expected = gate(feature, relaxed=relaxed), whole(feature, relaxed=relaxed)

    assert gate.head.weight.shape == (3, 4)
    assert decision.on.tolist() == [[True]] * 3
    assert decision.weight.tolist() == [[1.0]] * 3
    assert decision.channels.on.equal(expected.channels.on)
    assert not decision.channels.on.all()
    torch.testing.assert_close(decision.channels.weight, expected.channels.weight)


@given(st.integers(1, 9) | st.just(2**40), st.integers(1, 11), st.booleans(), st.booleans())
def test_neighbouring_channels_of_a_group_share_a_score(group, channels, blocks, relaxed):
    config = ReLU1GateConfig(blocks=blocks, channel_group=group, initial_bias=1.0)
    gate = config.build(4, paths=1, channels=channels, keep_one=False).double()
    torch.nn.init.normal_(gate.head.weight)
    alone = ReLU1GateConfig(blocks=blocks, initial_bias=1.0)
    single = alone.build(4, paths=1, channels=channels, keep_one=False)
    first = 1 if blocks else 0
    assert gate.head.out_features == first + math.ceil(channels / group)
    with torch.no_grad():
        for channel in range(channels):
            single.head.weight[first + channel] = gate.head.weight[first + channel // group]
        single.head.weight[:first] = gate.head.weight[:first]
    feature = torch.randn(5, 4, dtype=torch.float64)

    decision = gate(feature, relaxed=relaxed)
    expected = single.double()(feature, relaxed=relaxed)

    assert decision.channels.on.shape == (5, channels)
    for found, wanted in zip(decision.choices, expected.choices, strict=True):
        assert found.on.equal(wanted.on)
        torch.testing.assert_close(found.weight, wanted.weight, rtol=0, atol=1e-6)


def test_a_group_has_at_least_one_channel():
    with pytest.raises(ValueError, match="channel_group must be at least 1, not 0"):
        ReLU1GateConfig(channel_group=0)


def test_something_must_be_decided():
    with pytest.raises(ValueError, match=r"blocks off .* granularity\.channels is off: turn one"):
        ReLU1GateConfig(blocks=False).build(4, paths=1, channels=0, keep_one=False)


def test_nothing_is_dead_at_the_start():
    """With biases of 1; torch's, which are the default, lie around 0."""
    gate = ReLU1GateConfig(initial_bias=1.0).build(4, paths=1, channels=6, keep_one=False)

    decision = gate(torch.zeros(2, 4), relaxed=False)

    assert decision.weight.eq(1).all()
    assert decision.channels.weight.eq(1).all()
    torch.manual_seed(0)
    default = ReLU1GateConfig().build(4, paths=1, channels=6, keep_one=False)
    torch.manual_seed(0)
    assert torch.equal(default.head.bias, torch.nn.Linear(4, 7).bias)


@pytest.mark.parametrize("bias", [float("nan"), float("inf")])
def test_an_initial_bias_is_a_number(bias):
    with pytest.raises(ValueError, match=f"initial_bias must be a number, not {bias}"):
        ReLU1GateConfig(initial_bias=bias)


def test_keep_one_keeps_the_path_with_the_highest_score():
    decision = identity_gate(3, 0, keep_one=True)(scores(-2.0, -0.5, -1.0), relaxed=False)

    assert decision.on.tolist() == [[False, True, False]]


def test_half_precision_feature_gives_float32_decisions():
    gate = identity_gate(1, 2).bfloat16()

    decision = gate(scores(0.25, 0.5, -1.0).detach().bfloat16(), relaxed=False)

    assert decision.weight.dtype == decision.channels.weight.dtype == torch.float32
    assert decision.weight.tolist() == [[0.25]]


@pytest.mark.parametrize("leak", [-0.1, 1.0, float("nan")])
def test_leak_must_be_a_slope_below_one(leak):
    with pytest.raises(ValueError, match=r"leak must be in \[0, 1\)"):
        ReLU1GateConfig(leak=leak)
