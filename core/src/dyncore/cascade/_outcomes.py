"""What a cascade would answer after each member, for images whose labels are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from dyncore.cascade._confidence import Answer, Confidence, confidence_of, join, log_probabilities
from dyncore.cascade._predictions import Predictions

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a cascade's members are heard."""

    confidence: Confidence
    answer: Answer
    temperatures: tuple[float, ...]
    """One per member."""


@dataclass(frozen=True)
class Outcomes:
    """One row per member, one column per image."""

    right: NDArray[np.bool_]
    """Whether the answer is right that is given after asking so many members."""
    confidence: Array
    """How sure that answer is; of all members but the last."""
    cost: Array
    """What asking the member costs."""

    def __getitem__(self, images: slice) -> "Outcomes":
        return Outcomes(self.right[:, images], self.confidence[:, images], self.cost[:, images])

    @property
    def images(self) -> int:
        return self.right.shape[1]

    def asked(self, thresholds: Sequence[float]) -> NDArray[np.bool_]:
        """Whether each member is asked about each image (members, images)."""
        asked = np.ones_like(self.right)
        for index, threshold in enumerate(thresholds):
            asked[index + 1] = asked[index] & (self.confidence[index] < np.float32(threshold))
        return asked

    def result(self, thresholds: Sequence[float]) -> tuple[NDArray[np.bool_], Array]:
        """Whether each image's answer is right, and what the image costs."""
        asked = self.asked(thresholds)
        last = asked.sum(0) - 1
        right = np.take_along_axis(self.right, last[None], 0)[0]
        return right, (asked * self.cost).sum(0)


def outcomes(
    predictions: Sequence[Predictions],
    labels: Int[Tensor, "image"],
    costs: Sequence[Tensor],
    rule: Rule,
) -> Outcomes:
    """Follow every image through all members; ``costs`` are each member's, (image,) or a number."""
    answer, right, confidence = None, [], []
    for index, (found, temperature) in enumerate(zip(predictions, rule.temperatures, strict=True)):
        new = log_probabilities(found.logits, temperature)
        answer = new if answer is None else join(answer, new, index, rule.answer)
        right.append((answer.argmax(1) == labels).numpy())
        confidence.append(confidence_of(answer, rule.confidence).double().numpy())
    spread = [cost.double().expand(len(labels)).numpy() for cost in costs]
    return Outcomes(np.stack(right), np.stack(confidence[:-1]), np.stack(spread))
