"""How sure an answer is."""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cascade._quiet import exp, log_softmax

Confidence: TypeAlias = Literal["max-probability", "margin", "entropy"]
Answer: TypeAlias = Literal["mean", "last"]


def max_probability(log_probabilities: Tensor) -> Tensor:
    """The probability of the likeliest class."""
    return exp(log_probabilities.amax(1))


def margin(log_probabilities: Tensor) -> Tensor:
    """The probability of the likeliest class minus that of the second."""
    first, second = exp(log_probabilities.topk(2, dim=1).values).unbind(1)
    return first - second


def entropy(log_probabilities: Tensor) -> Tensor:
    """One minus the entropy over its greatest value, log K."""
    entropies = torch.special.entr(exp(log_probabilities)).sum(1)
    return (1 - entropies / math.log(log_probabilities.shape[1])).clamp(0, 1)


_MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "max-probability": max_probability,
    "margin": margin,
    "entropy": entropy,
}


def confidence_of(
    log_probabilities: Float[Tensor, "batch classes"], measure: Confidence
) -> Float[Tensor, "batch"]:
    """How sure each answer is, from 0 (not at all) to 1."""
    return _MEASURES[measure](log_probabilities)


def log_probabilities(
    logits: Float[Tensor, "batch classes"], temperature: float
) -> Float[Tensor, "batch classes"]:
    """``log softmax(logits / temperature)``, in float32 at least."""
    precise = logits if logits.dtype == torch.float64 else logits.float()
    return log_softmax(precise if temperature == 1 else precise / temperature)


def join(
    before: Float[Tensor, "batch classes"],
    new: Float[Tensor, "batch classes"],
    asked: int,
    answer: Answer,
) -> Float[Tensor, "batch classes"]:
    """The answer after one more member, all of them as log-probabilities.

    ``before`` is the answer of the ``asked`` members before it. ``last``: the new one alone;
    ``mean``: the mean of the probabilities of all of them.
    """
    if answer == "last":
        return new
    return torch.logaddexp(before + math.log(asked), new) - math.log(asked + 1)
