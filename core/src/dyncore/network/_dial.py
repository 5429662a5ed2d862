"""The budget dial: where the gates' thresholds stand for a budget, and what that gave."""

import warnings
from bisect import bisect_left
from dataclasses import dataclass
from math import isfinite

JUMP = 0.04
"""Of the static network's cost: two settings further apart have no settings between them."""


@dataclass(frozen=True, kw_only=True)
class DialSetting:
    """One position of the dial, and what it gave on the calibration images."""

    threshold: float
    """What a gate's score must exceed for its path or channel to be on; 0: as trained."""
    cost: float
    """Mean MACs per image (1 MAC = 2 FLOPs), routers included."""
    accuracy: float
    """Share of right answers; thresholds were not chosen for it."""
    rates: tuple[float, ...]
    """Share of the images that run each path, in the order of the blocks."""
    channel_rates: tuple[float, ...] = ()
    """Share of each block's channels that run where the block does; empty: none are gated."""


@dataclass(frozen=True, kw_only=True)
class Dial:
    """What thresholds cost, from images that the network was not trained on."""

    images: int
    """Number of images."""
    static_cost: int
    """MACs of the static backbone for one image, which budgets are shares of."""
    tolerance: float
    """How far the mean cost may be off on many other images, as a share of it (95 %); at the
    setting where that is most."""
    settings: tuple[DialSetting, ...]
    """Of growing cost."""
    setting: DialSetting | None = None
    """Where the dial stands; None: as trained."""

    def __post_init__(self) -> None:
        costs = [setting.cost for setting in self.settings]
        if not costs or sorted(set(costs)) != costs or not all(map(isfinite, costs)):
            raise ValueError("a dial's settings must be of growing cost, and there must be one")
        if self.static_cost < 1:
            raise ValueError(f"static_cost must be at least 1 MAC, not {self.static_cost}")
        thresholds = [setting.threshold for setting in (*self.settings, self.setting) if setting]
        if not all(map(isfinite, thresholds)):
            raise ValueError("a dial's thresholds must be finite")

    def check(self, paths: int) -> None:
        """Raise ValueError unless it is the dial of a network of so many paths."""
        known = (*self.settings, *((self.setting,) if self.setting else ()))
        if any(len(setting.rates) != paths for setting in known):
            raise ValueError(f"the dial is not one of a network of {paths} paths")

    def at(self, budget: float) -> DialSetting:
        """The setting whose mean cost is ``budget`` times the static network's.

        Between two settings it is interpolated; where the network jumps from one to the other, it
        is the cheaper one, with a warning. A budget above the dearest setting, where everything
        runs, gives that one. Raises ValueError for less than the cheapest.
        """
        if not budget > 0:
            raise ValueError(f"budget must be above 0, not {budget}")
        cost, costs = budget * self.static_cost, [setting.cost for setting in self.settings]
        index = bisect_left(costs, cost * (1 - 1e-9))
        if index == len(costs):
            return self.settings[-1]
        after = self.settings[index]
        if after.cost <= cost * (1 + 1e-9):
            return after
        if index == 0:
            raise ValueError(
                f"budget {budget:g} is less than this network costs with almost nothing on, "
                f"{costs[0] / self.static_cost:.3f} of the static one: stem, head, shortcuts and "
                "routers always run"
            )
        before = self.settings[index - 1]
        if after.cost - before.cost > JUMP * self.static_cost:
            warnings.warn(
                f"no threshold gives a budget of {budget:g}: all images leave a block at once "
                f"between {before.cost / self.static_cost:.3f} and "
                f"{after.cost / self.static_cost:.3f}; taking the cheaper one",
                stacklevel=3,
            )
            return before
        return _between(before, after, (cost - before.cost) / (after.cost - before.cost))

    def __str__(self) -> str:
        lines = [f"{'budget':>7} {'threshold':>10} {'M MACs':>9} {'accuracy':>9}"]
        for tenths in range(1, 21):
            budget = tenths / 20
            if self.settings[0].cost <= budget * self.static_cost <= self.settings[-1].cost:
                lines.append(_row(f"{budget:.2f}", self.at(budget)))
        lines.append(_row("all on", self.settings[-1]))
        lines.append(
            f"budgets are shares of the static network, {self.static_cost / 1e6:.4g} M MACs (1 MAC "
            f"= 2 FLOPs); within {self.tolerance:.1%} on many other images (95 %, from "
            f"{self.images} images)"
        )
        return "\n".join(lines)


def _row(name: str, setting: DialSetting) -> str:
    return (
        f"{name:>7} {setting.threshold:>10.4f} {setting.cost / 1e6:>9.4g} {setting.accuracy:>9.4f}"
    )


def _between(first: DialSetting, second: DialSetting, share: float) -> DialSetting:
    """The setting that lies a ``share`` of the way from the first to the second."""

    def mix(a: float, b: float) -> float:
        return a + share * (b - a)

    def mix_all(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(map(mix, a, b))

    return DialSetting(
        threshold=mix(first.threshold, second.threshold),
        cost=mix(first.cost, second.cost),
        accuracy=mix(first.accuracy, second.accuracy),
        rates=mix_all(first.rates, second.rates),
        channel_rates=mix_all(first.channel_rates, second.channel_rates),
    )
