"""Thresholds at even distances of cost: costs fall as thresholds rise, nobody knows how."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from dyncore.calibration._measured import Sums
from dyncore.cost import CostTable
from dyncore.network import DialSetting

STEP = 0.02
"""Of the static network's cost, between two settings."""
FURTHEST = 64.0
"""Threshold that no gate's score exceeds, or falls below."""
MAX_PROBES = 100
NEAREST = 1e-5
"""Two thresholds this near to each other have none between them: all images jump at once."""


def probes(ratio: Callable[[float], float], table: CostTable) -> list[float]:
    """Thresholds from where almost nothing is on to where everything is, with 0 among them.

    ``ratio`` tells what some images cost at a threshold, over the static network.
    """
    found = {0.0: ratio(0.0)}
    for sign, end in ((1, table.always / table.static), (-1, table.full / table.static)):
        threshold = 0.125
        while abs(found[min(found) if sign < 0 else max(found)] - end) > 1e-9:
            found[sign * threshold] = ratio(sign * threshold)
            if threshold >= FURTHEST:
                break
            threshold *= 2
    while len(found) < MAX_PROBES:
        gap, middle = max(_gaps(sorted(found.items())), default=(0.0, 0.0))
        if gap <= STEP:
            break
        found[middle] = ratio(middle)
    return _thinned(found)


def middles(found: Mapping[float, Sums], table: CostTable) -> list[float]:
    """A threshold between every two whose costs are too far apart."""
    ratios = {t: float(sums.costs.mean()) / table.static for t, sums in found.items()}
    return [middle for gap, middle in _gaps(sorted(ratios.items())) if gap > 1.5 * STEP]


def dialled(settings: Sequence[DialSetting], table: CostTable) -> tuple[DialSetting, ...]:
    """Those of growing cost, from the highest threshold on.

    What costs no more than a higher threshold did is left out: skipping a block may let images
    choose others.
    """
    kept: list[DialSetting] = []
    for setting in sorted(settings, key=lambda each: -each.threshold):
        if not kept or setting.cost > kept[-1].cost:
            kept.append(setting)
    return tuple(kept)


def _gaps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(difference of costs, threshold in the middle) of neighbours that have one between them."""
    return [
        (abs(a - b), (first + second) / 2)
        for (first, a), (second, b) in pairwise(points)
        if second - first > NEAREST
    ]


def _thinned(found: Mapping[float, float]) -> list[float]:
    """No two that cost nearly the same, but for the ends and 0."""
    kept: list[float] = []
    ordered = sorted(found)
    for threshold in ordered:
        near = kept and abs(found[threshold] - found[kept[-1]]) < STEP / 2
        if threshold in (0.0, ordered[-1]) or not near:
            kept.append(threshold)
    return kept
