"""Every way to set the thresholds of a cascade, and the ones worth having."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyncore.cascade._outcomes import Array, Outcomes

NONE_GO_ON, ALL_GO_ON = 0.0, 2.0
"""Thresholds at the ends of what a confidence can be."""
FIRST = 1000
"""Thresholds of the first of two that are tried, evenly over the images; more than there are
images: every one."""
ROWS = 64
"""First thresholds that are swept at a time."""


@dataclass(frozen=True)
class Front:
    """Settings that nothing cheaper equals, from the cheapest to the most accurate.

    The rows of ``thresholds`` (settings, members - 1), and for each its share of right answers and
    its mean cost per image.
    """

    thresholds: Array
    accuracy: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.cost)

    def accuracy_at(self, costs: Array) -> Array:
        """The best accuracy that each of ``costs`` buys; -1 for less than the cheapest."""
        return np.concatenate([[-1.0], self.accuracy])[np.searchsorted(self.cost, costs, "right")]

    def within(self, cost: float) -> int:
        """The most accurate setting whose mean cost is at most ``cost``.

        Raises ValueError where even the cheapest costs more.
        """
        found = int(np.searchsorted(self.cost, cost * (1 + 1e-9), side="right")) - 1
        if found < 0:
            raise ValueError(
                f"the first member alone costs {self.cost[0]:.6g} per image, more than the budget "
                f"of {cost:.6g}: raise the budget, or begin with a cheaper member"
            )
        return found

    def reaching(self, accuracy: float) -> int:
        """The cheapest setting with at least this accuracy. Raises ValueError if there is none."""
        found = int(np.searchsorted(self.accuracy, accuracy - 1e-12))
        if found == len(self):
            raise ValueError(
                f"no thresholds reach an accuracy of {accuracy:.4f}: the best is "
                f"{self.accuracy[-1]:.4f}, at a cost of {self.cost[-1]:.6g} per image"
            )
        return found


def front(found: Outcomes) -> Front:
    """The best settings of two or three members, by counting.

    Images in order of their first confidence, those before position k go on: accuracy and cost of
    every k are cumulative sums. With three members that is done for the second threshold, exactly,
    for up to ``FIRST`` positions of the first one. Raises ValueError for more members.
    """
    if len(found.right) == 2:
        return _sweep(found.right, found.confidence[0], found.cost)
    if len(found.right) == 3:
        return _sweep_twice(found.right, found.confidence, found.cost)
    raise ValueError(
        f"thresholds are found for two or three members, not {len(found.right)}: leave some out, "
        "or set cascade.thresholds by hand"
    )


def _sweep(right: NDArray[np.bool_], confidence: Array, cost: Array) -> Front:
    order, thresholds = _ordered(confidence)
    images = len(order)
    gain = right[1].astype(int) - right[0].astype(int)
    accuracy = (right[0].sum() + _from_zero(gain[order])) / images
    costs = cost[0].mean() + _from_zero(cost[1][order]) / images
    possible = ~np.isnan(thresholds)
    return _best(thresholds[possible, None], accuracy[possible], costs[possible])


def _sweep_twice(right: NDArray[np.bool_], confidence: Array, cost: Array) -> Front:
    order, firsts = _ordered(confidence[0])
    second_order, seconds = _ordered(confidence[1])
    images = len(order)
    position = np.empty(images, int)
    position[order] = np.arange(images)
    position = position[second_order]
    to_second = right[1].astype(int) - right[0].astype(int)
    to_third = (right[2].astype(int) - right[1].astype(int))[second_order]
    base = right[0].sum() + _from_zero(to_second[order])
    paid = cost[0].sum() + _from_zero(cost[1][order])
    third = cost[2][second_order]
    tried = np.unique(np.linspace(0, images, min(FIRST, images) + 1).round().astype(int))
    tried = tried[~np.isnan(firsts[tried])]
    possible = ~np.isnan(seconds)
    kept = Front(np.empty((0, 2)), np.empty(0), np.empty(0))
    for start in range(0, len(tried), ROWS):
        k = tried[start : start + ROWS, None]
        goes_on = position < k
        accuracy = (base[k] + _from_zero(goes_on * to_third))[:, possible] / images
        costs = (paid[k] + _from_zero(goes_on * third))[:, possible] / images
        better = accuracy > kept.accuracy_at(costs)
        pairs = (each[better] for each in np.broadcast_arrays(firsts[k], seconds[possible]))
        kept = _best(
            np.concatenate([kept.thresholds, np.stack(list(pairs), axis=1)]),
            np.concatenate([kept.accuracy, accuracy[better]]),
            np.concatenate([kept.cost, costs[better]]),
        )
    return kept


def _ordered(confidence: Array) -> tuple[NDArray[np.intp], Array]:
    """Images from the least sure one on, and for k = 0 … n the threshold below which k of them lie.

    NaN where equal confidences allow no such k. A threshold lies halfway between its neighbours, so
    that rounding elsewhere does not move an image over it.
    """
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    low, high = ranked[:-1], ranked[1:]
    middle = ((low + high) / 2).astype(np.float32).astype(np.float64)
    between = np.where(middle > low, middle, high)
    between = np.where(low < high, between, np.nan)
    return order, np.concatenate([[NONE_GO_ON], between, [ALL_GO_ON]])


def _from_zero(values: NDArray[Any]) -> NDArray[Any]:
    """Cumulative sums along the last axis, of nothing first."""
    sums = np.cumsum(values, axis=-1)
    return np.concatenate([np.zeros_like(sums[..., :1]), sums], axis=-1)


def _best(thresholds: Array, accuracy: Array, cost: Array) -> Front:
    """Leave out what something no dearer equals or beats."""
    order = np.lexsort((-accuracy, cost))
    ranked = accuracy[order]
    before = np.concatenate([[-1.0], np.maximum.accumulate(ranked)[:-1]])
    chosen = order[ranked > before]
    return Front(thresholds[chosen], accuracy[chosen], cost[chosen])
