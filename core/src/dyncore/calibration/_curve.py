"""What budgets give on images: how true the dial is, and what accuracy they buy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dyncore.calibration._batches import Batches, images_and_labels
from dyncore.calibration._measured import Measured, as_it_was
from dyncore.cost import cost_table
from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork


@dataclass(frozen=True, kw_only=True)
class Point:
    """One budget on some images."""

    budget: float
    """What was asked: a share of the static network's MACs."""
    ratio: float
    """What it gave: mean MACs, routers included, over the static network's."""
    accuracy: float
    """Share of right answers."""

    @property
    def error(self) -> float:
        """How far off it is, as a share of what was asked."""
        return self.ratio / self.budget - 1


def curve(
    model: DynamicNetwork,
    batches: Batches,
    budgets: Sequence[float],
    *,
    preprocessing: Preprocessing | None = None,
) -> list[Point]:
    """Turn the dial to each of ``budgets`` and run the images, e.g. such as it has not seen.

    Arguments are those of :func:`calibrate`; the dial then stands where it stood. Raises ValueError
    for a model that was not calibrated, and for a budget out of its reach.
    """
    preprocessing = preprocessing or model.info.preprocessing
    if model.dial is None or preprocessing is None:
        raise ValueError("budgets need a calibrated model: call dyncore.calibrate(model, batches)")
    settings = [model.dial.at(budget) for budget in budgets]
    if isinstance(batches, Iterator):
        batches = list(batches)
    example = images_and_labels(next(iter(batches)))[0]
    table = cost_table(model, (example.shape[1], example.shape[2], example.shape[3]))
    with as_it_was(model):
        measured = Measured(model, table, preprocessing)
        found = measured.at([setting.threshold for setting in settings], batches)
    measures = [found[setting.threshold].setting(setting.threshold) for setting in settings]
    return [
        Point(budget=budget, ratio=each.cost / table.static, accuracy=each.accuracy)
        for budget, each in zip(budgets, measures, strict=True)
    ]
