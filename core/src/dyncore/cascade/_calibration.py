"""Thresholds from held-out images, and what they promise."""

import math
import sys
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from dyncore.cascade._front import Front, front
from dyncore.cascade._outcomes import Outcomes

Z = 1.96
"""Standard deviations of a 95 % interval."""
SETTINGS = 100
"""Steps of the dial, evenly over the costs."""

Unit: TypeAlias = Literal["MACs", "ms"]


@dataclass(frozen=True)
class Aim:
    """What thresholds are chosen for."""

    name: str
    """``budget``, a share of the last member's cost; ``accuracy``; or ``ms``, per image."""
    value: float

    @classmethod
    def of(cls, **aims: float | None) -> "Aim":
        """The one that is not None. Raises ValueError for more, none, or a value out of range."""
        given = [cls(name, aim) for name, aim in aims.items() if aim is not None]
        if len(given) != 1:
            names = ", ".join(aim.name for aim in given)
            raise ValueError(f"give one aim, {', '.join(aims)}, not {names or 'none'}")
        aim = given[0]
        most = 1 if aim.name == "accuracy" else sys.float_info.max
        if not 0 < aim.value <= most:
            raise ValueError(f"{aim.name} must be above 0 and at most {most:g}, not {aim.value}")
        return aim

    def choose(self, best: Front, last_cost: float) -> int:
        """The setting for it; ``last_cost``: of the last member alone."""
        if self.name == "accuracy":
            return best.reaching(self.value)
        return best.within(self.value * last_cost if self.name == "budget" else self.value)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One position of the dial, and what it gave on the calibration images."""

    thresholds: tuple[float, ...]
    """Below which confidence an image goes on from each member but the last."""
    asked: tuple[float, ...]
    """Share of the images that each member was asked about."""
    cost: float
    """Mean per image."""
    accuracy: float
    """Share of right answers: a little too good, where the same images chose the thresholds."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a cascade's thresholds rest on, and what they promise on images like those."""

    images: int
    """Number of images."""
    unit: Unit
    """Of every cost, per image: MACs (1 MAC = 2 FLOPs), or milliseconds at batch 1."""
    chosen: Setting
    """What the aim led to."""
    tolerance: float
    """How far the mean cost may be off on many other images, as a share of it (95 %)."""
    expected_accuracy: float
    """Share of right answers where each half of the images had thresholds from the other half."""
    interval: tuple[float, float]
    """Of the expected accuracy (95 %, Wilson's)."""
    last_cost: float
    """Mean cost of asking the last member alone, which budgets are shares of."""
    dial: tuple[Setting, ...]
    """Settings of growing cost and accuracy."""

    def __str__(self) -> str:
        low, high = self.interval
        shares = ", ".join(f"{share:.1%}" for share in self.chosen.asked[1:])
        cost = self.chosen.cost
        return (
            f"expected accuracy {self.expected_accuracy:.4f} ({low:.4f} to {high:.4f}) at "
            f"{shown(cost, self.unit)} per image, within {self.tolerance:.1%}: "
            f"{cost / self.last_cost:.3f} of the last member's; {shares} of the images go on "
            f"(95 % intervals, from {self.images} images)"
        )

    def within(self, budget: float) -> Setting:
        """The most accurate setting of at most ``budget`` times the last member's cost.

        Raises ValueError where even the cheapest costs more.
        """
        fitting = [s for s in self.dial if s.cost <= budget * self.last_cost * (1 + 1e-9)]
        if not fitting:
            least = self.dial[0].cost / self.last_cost
            raise ValueError(
                f"budget {budget:g} is less than the first member alone costs, {least:.3f} of the "
                "last member: raise it, or begin with a cheaper member"
            )
        return fitting[-1]


def shown(cost: float, unit: Unit) -> str:
    """A cost for people."""
    return f"{cost / 1e6:.4g} M MACs" if unit == "MACs" else f"{cost:.4g} ms"


def calibration(
    found: Outcomes, unit: Unit, aim: Aim, last_cost: float | None = None
) -> Calibration:
    """The setting on the front that serves the aim, and what it promises.

    ``last_cost`` is that of the last member alone, where in the cascade it costs less (None: the
    same).

    Its accuracy is estimated by choosing on every second image and counting on the others, and the
    other way round. The share of images that go on is itself estimated from n images; so the mean
    cost on other images has the standard error of the mean of n costs. Raises ValueError for fewer
    than two images, and for an aim out of reach.
    """
    if found.images < 2:
        raise ValueError("thresholds need at least two images, better thousands")
    best = front(found)
    last_cost = float(found.cost[-1].mean()) if last_cost is None else last_cost
    index = aim.choose(best, last_cost)
    thresholds = _numbers(best.thresholds[index])
    _, cost = found.result(thresholds)
    expected = _other_half(found, aim, last_cost)
    return Calibration(
        images=found.images,
        unit=unit,
        chosen=_setting(found, best, index),
        tolerance=float(Z * cost.std() / math.sqrt(found.images) / cost.mean()),
        expected_accuracy=expected,
        interval=wilson(expected, found.images),
        last_cost=last_cost,
        dial=tuple(_setting(found, best, index) for index in _dial(best)),
    )


def _other_half(found: Outcomes, aim: Aim, last_cost: float) -> float:
    """Accuracy on each half by thresholds from the other."""
    right = []
    for first, second in ((found[::2], found[1::2]), (found[1::2], found[::2])):
        best = front(first)
        try:
            thresholds = best.thresholds[aim.choose(best, last_cost)]
        except ValueError:  # one half does not reach what the whole does
            thresholds = best.thresholds[-1]
        right.append(second.result(_numbers(thresholds))[0])
    return float(np.concatenate(right).mean())


def _dial(best: Front) -> list[int]:
    """Settings at even distances of cost."""
    wanted = np.linspace(best.cost[0], best.cost[-1], SETTINGS + 1)
    return sorted({best.within(cost) for cost in wanted})


def _setting(found: Outcomes, best: Front, index: int) -> Setting:
    thresholds = _numbers(best.thresholds[index])
    return Setting(
        thresholds=thresholds,
        asked=_numbers(found.asked(thresholds).mean(1)),
        cost=float(best.cost[index]),
        accuracy=float(best.accuracy[index]),
    )


def wilson(share: float, images: int) -> tuple[float, float]:
    """A 95 % interval of a probability, from the share of ``images`` (Wilson 1927)."""
    spread = Z * Z / images
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
