"""Does a routed large member move the front? One small static network, then one of each method.

``python benchmarks/cascade_papers.py --data digits --small FOLDER --large static=FOLDER
rdinet=FOLDER …`` reads model folders, e.g. those that ``dyn reproduce
benchmarks/campaigns/cascade_digits.toml`` leaves, asks each once about the test images, and writes
``benchmarks/results/cascade-papers-<data>.json``. Rows by ``kind``:

- ``single``: a network alone.
- ``cascade``: at a budget, a share of the MACs of the first large network (the static one): accuracy
  on each half of the test images by thresholds from the other, and what it cost there.

1 MAC = 2 FLOPs; routers are counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tyro
from cascade import ask, shown, test_batches
from record import record
from torch import Tensor

import dyncore
from dyncore.cascade import (
    Aim,
    Cascade,
    Member,
    Outcomes,
    Predictions,
    Rule,
    calibration,
    outcomes,
    predict,
    wilson,
)

BUDGETS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the static network's MACs."""
Row = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare cascades whose large members are routed."""

    data: str
    """Data set: a Hub id, a folder, or ``digits``."""
    small: str
    """Model folder of the first member."""
    large: tuple[str, ...]
    """NAME=FOLDER of every network to ask next; the first is what budgets are shares of."""

    def __post_init__(self) -> None:
        if wrong := [given for given in self.large if "=" not in given]:
            raise ValueError(f"give --large NAME=FOLDER, not {wrong[0]!r}")


def rows(found: Mapping[str, Outcomes], full: float) -> Iterator[Row]:
    """``found``: of each large network's cascade; ``full``: the static network's MACs."""
    small = next(iter(found.values()))
    for name, cost, right in (
        ("small", small.cost[0], small.right[0]),
        *((name, pair.cost[1], pair.right[1]) for name, pair in found.items()),
    ):
        yield {
            "kind": "single",
            "model": name,
            "macs_ratio": float(cost.mean()) / full,
            "accuracy": float(right.mean()),
            "interval": list(wilson(float(right.mean()), small.images)),
        }
    for name, pair in found.items():
        for budget in BUDGETS:
            right, cost = _halves(pair, budget * full)
            if not len(right):
                continue
            yield {
                "kind": "cascade",
                "model": f"small → {name}",
                "budget": budget,
                "macs_ratio": float(cost.mean()) / full,
                "accuracy": float(right.mean()),
                "interval": list(wilson(float(right.mean()), pair.images)),
            }


def _halves(pair: Outcomes, macs: float) -> tuple[np.ndarray, np.ndarray]:
    """Right answers and MACs on each half by thresholds from the other; empty: out of reach."""
    right, costs = [], []
    for seen, unseen in ((pair[::2], pair[1::2]), (pair[1::2], pair[::2])):
        try:
            aim = Aim("budget", macs / float(seen.cost[-1].mean()))
            thresholds = calibration(seen, "MACs", aim).chosen.thresholds
        except ValueError:  # the small network alone costs more
            return np.empty(0), np.empty(0)
        answered, cost = unseen.result(thresholds)
        right.append(answered)
        costs.append(cost)
    return np.concatenate(right), np.concatenate(costs)


def _member(folder: str) -> Member:
    network = dyncore.from_pretrained(folder)
    if isinstance(network, Cascade):
        raise ValueError(f"{folder} is a cascade: give networks")
    return Member.of(network)


def _macs(found: Predictions) -> Tensor:
    assert found.macs is not None
    return found.macs


def main(options: Options) -> None:
    """Ask everyone, count, print, and write the JSON."""
    folders = dict(given.split("=", 1) for given in options.large)
    members = [_member(options.small), *map(_member, folders.values())]
    batches = test_batches(options.data, 500)
    answers = predict([partial(ask, member) for member in members], batches, lambda images: None)
    small, *large = answers.members
    rule = Rule(confidence="max-probability", answer="mean", temperatures=(1.0, 1.0))
    found = {
        name: outcomes((small, one), answers.labels, [_macs(small), _macs(one)], rule)
        for name, one in zip(folders, large, strict=True)
    }
    full = float(_macs(large[0]).double().mean())
    table = list(rows(found, full))
    shown(table, ("single", "cascade"))
    record(f"cascade-papers-{Path(options.data).name}", table)


if __name__ == "__main__":
    main(tyro.cli(Options))
