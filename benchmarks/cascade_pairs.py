"""Pairs of networks in cascades, side by side at equal budgets.

``python benchmarks/cascade_pairs.py --name digits --data digits --static FOLDER --pairs
static=SMALL,LARGE rdinet=SMALL,LARGE …`` reads model folders, e.g. those that ``dyn reproduce
benchmarks/campaigns/cascade_digits.toml`` leaves; ``FOLDER@0`` is the smallest network inside of a
nested one, ``FOLDER@1`` the next. With ``--seeds 0 1 2`` a ``{seed}`` in a folder stands for each
of these, and every row is made with each. Each network is asked once about the test images, and
``benchmarks/results/cascade-pairs-NAME.json`` is written. Rows by ``kind``:

- ``single``: a network alone.
- ``cascade``: at a budget, a share of the MACs of the static network: accuracy on each half of the
  test images by thresholds from the other, and what it cost there. The other half chooses, too,
  whether those who were asked answer together (``mean``) or the last one alone (``last``).

1 MAC = 2 FLOPs; routers are counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import tyro
from cascade import ask, shown, test_batches
from record import record
from torch import Tensor

import dyncore
from dyncore.cascade import (
    Aim,
    Answer,
    Calibration,
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

Row = dict[str, object]
RULE = Rule(confidence="max-probability", answer="mean", temperatures=(1.0, 1.0))
ANSWERS: tuple[Answer, ...] = ("mean", "last")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare cascades of two at equal budgets."""

    name: str
    """What the results' file is called."""
    data: str
    """Data set: a Hub id, a folder, or ``digits``."""
    static: tuple[str, ...]
    """NAME=FOLDER of networks to stand beside; budgets are shares of the last one's MACs."""
    pairs: tuple[str, ...]
    """NAME=SMALL,LARGE of every cascade."""
    budgets: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)
    """Shares of the static network's MACs."""
    seeds: tuple[int, ...] = (0,)
    """Of the networks, where folders say ``{seed}``."""

    def __post_init__(self) -> None:
        for given, folders in (*((s, 1) for s in self.static), *((p, 2) for p in self.pairs)):
            if "=" not in given or len(given.partition("=")[2].split(",")) != folders:
                raise ValueError(f"give --static NAME=FOLDER and --pairs NAME=SMALL,LARGE: {given}")


def rows(
    asked: Mapping[str, Predictions],
    labels: Tensor,
    pairs: Mapping[str, Sequence[str]],
    full: float,
    budgets: Sequence[float],
) -> Iterator[Row]:
    """``asked``: every network's answers by name; ``full``: the static network's MACs."""
    for name, found in asked.items():
        accuracy = float((found.logits.argmax(1) == labels).double().mean())
        yield {
            "kind": "single",
            "model": name,
            "macs_ratio": float(_macs(found).double().mean()) / full,
            "accuracy": accuracy,
            "interval": list(wilson(accuracy, len(labels))),
        }
    for name, members in pairs.items():
        found_pair = [asked[member] for member in members]
        costs = [_macs(found) for found in found_pair]
        heard = {
            answer: outcomes(found_pair, labels, costs, replace(RULE, answer=answer))
            for answer in ANSWERS
        }
        for budget in budgets:
            right, cost, answers = _halves(heard, budget * full)
            if not len(right):
                continue
            yield {
                "kind": "cascade",
                "model": name,
                "budget": budget,
                "macs_ratio": float(cost.mean()) / full,
                "accuracy": float(right.mean()),
                "interval": list(wilson(float(right.mean()), len(labels))),
                "answer": " / ".join(dict.fromkeys(answers)),
            }


def _halves(
    heard: Mapping[Answer, Outcomes], macs: float
) -> tuple[np.ndarray, np.ndarray, list[Answer]]:
    """Right answers and MACs on each half by thresholds from the other; empty: out of reach.

    And whose answer counted on each half.
    """
    right, costs, answers = [], [], []
    for start in range(2):
        tried: dict[Answer, Calibration] = {}
        for answer, pair in heard.items():
            seen = pair[start::2]
            try:
                aim = Aim("budget", macs / float(seen.cost[-1].mean()))
                tried[answer] = calibration(seen, "MACs", aim)
            except ValueError:  # the small network alone costs more
                return np.empty(0), np.empty(0), []
        best = max(tried, key=lambda answer: tried[answer].chosen.accuracy)
        answered, cost = heard[best][1 - start :: 2].result(tried[best].chosen.thresholds)
        right.append(answered)
        costs.append(cost)
        answers.append(best)
    return np.concatenate(right), np.concatenate(costs), answers


def _macs(found: Predictions) -> Tensor:
    assert found.macs is not None
    return found.macs


def _member(place: str) -> Member:
    """The network in a model folder, or inside of one."""
    folder, _, inside = place.partition("@")
    network = dyncore.from_pretrained(folder)
    if isinstance(network, Cascade):
        raise ValueError(f"{folder} is a cascade: give networks")
    return Member.of(network.at(int(inside)) if inside else network)


def _networks(options: Options) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The place of every network by name, and the names of every pair's."""
    places = dict(given.split("=", 1) for given in options.static)
    pairs: dict[str, list[str]] = {}
    for given in options.pairs:
        name, _, folders = given.partition("=")
        pairs[name] = []
        for place, size in zip(folders.split(","), ("small", "large"), strict=True):
            known = next((key for key, value in places.items() if value == place), None)
            key = known or f"{name}, {size}"
            places[key] = place
            pairs[name].append(key)
    return places, pairs


def main(options: Options) -> None:
    """Ask everyone once, count, print, and write the JSON."""
    places, pairs = _networks(options)
    last = options.static[-1].partition("=")[0]
    of_seed = {
        seed: {name: place.replace("{seed}", str(seed)) for name, place in places.items()}
        for seed in options.seeds
    }
    distinct = list(dict.fromkeys(place for named in of_seed.values() for place in named.values()))
    members = [_member(place) for place in distinct]
    batches = test_batches(options.data, 500)
    answers = predict([partial(ask, member) for member in members], batches, lambda images: None)
    answer_of = dict(zip(distinct, answers.members, strict=True))
    table: list[Row] = []
    for seed, named in of_seed.items():
        asked = {name: answer_of[place] for name, place in named.items()}
        full = float(_macs(asked[last]).double().mean())
        found = rows(asked, answers.labels, pairs, full, options.budgets)
        table += [{**row, "seed": seed} for row in found]
    shown(table, ("single", "cascade"))
    record(f"cascade-pairs-{options.name}", table)


if __name__ == "__main__":
    main(tyro.cli(Options))
