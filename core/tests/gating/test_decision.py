"""A decision is cut, joined and moved as one, whatever it holds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore.gating import Choice, Decision, Relaxation


def drawn(images: int, *, channels: bool, training: bool) -> Decision:
    def numbers(units: int) -> torch.Tensor:
        return torch.rand(images, units, dtype=torch.float64)

    def choice(units: int) -> Choice:
        return Choice(numbers(units) > 0.5, numbers(units))

    relaxation = Relaxation(numbers(2), numbers(3) if channels else None, numbers(2))
    return Decision(choice(2), choice(3) if channels else None, relaxation if training else None)


def tensors(decision: Decision) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    decision.map(lambda values: found.append(values) or values)
    return found


@given(st.integers(0, 6), st.integers(0, 6), st.booleans(), st.booleans())
def test_what_is_cut_and_joined_is_what_it_was(images, cut, channels, training):
    """Of every tensor that it holds: an eighth field could not be lost without a sound."""
    decision = drawn(images, channels=channels, training=training)
    first, second = decision.images(slice(cut)), decision.images(slice(cut, None))
    joined = first.map(lambda *parts: torch.cat(parts), second)
    assert len(tensors(decision)) == 2 + 2 * channels + (2 + channels) * training
    for one, other in zip(tensors(joined), tensors(decision), strict=True):
        assert one.equal(other)
    rows = torch.arange(images).flip(0)
    for one, other in zip(tensors(decision.images(rows)), tensors(decision), strict=True):
        assert one.equal(other.flip(0))


@pytest.mark.parametrize("missing", ["channels", "training"])
def test_decisions_that_are_not_alike_are_not_joined(missing):
    whole = drawn(2, channels=True, training=True)
    less = drawn(2, channels=missing != "channels", training=missing != "training")
    for one, other in ((whole, less), (less, whole)):
        with pytest.raises(ValueError, match=f"not alike: {missing} stands in some"):
            one.map(lambda *parts: torch.cat(parts), other)


def test_as_evaluated_has_the_weights_of_evaluation():
    relaxed = drawn(3, channels=True, training=True)
    hard = relaxed.as_evaluated
    assert hard.training is relaxed.training
    assert hard.weight is relaxed.training.paths
    assert hard.channels.weight is relaxed.training.channels
    assert hard.on.equal(relaxed.on)
    assert hard.channels.on.equal(relaxed.channels.on)
    assert hard.as_evaluated == hard
