"""Cascades of CIFAR-10 ResNets: accuracy against mean MACs, and against milliseconds.

``python benchmarks/cascade.py --data FOLDER --weights FOLDER`` puts public ResNet-20, 32 and 56 as
they are (``resnet20.safetensors``, …, named as in akamaster/pytorch_resnet_cifar10) in cascades of
two and three, on the test images, and writes ``benchmarks/results/cascade.json``. ``--finetuned
FOLDER`` takes model folders in their place (``FOLDER/resnet20``, …), and writes
``cascade-finetuned.json``. ``--clock`` measures milliseconds instead, in OpenVINO at its default
precision, and writes ``cascade-clock.json``; ``--engine`` does in ``dyncore.Engine``, and writes
``cascade-engine.json``.

Rows by ``kind``:

- ``single``: a network alone.
- ``cascade``: a share of the images, the least sure ones, goes on; accuracy and mean MACs.
- ``halves``: thresholds for that share from one half of the test images, measured on the other.
- ``budget``: the best thresholds for ResNet-32's cost, by measure of confidence, answer and
  temperature; ``expected_accuracy`` is by thresholds from the other half.
- ``front``: the best thresholds at even distances of cost.
- ``clock``: milliseconds per image.
- ``efficiency``: (time of the first member + share of images that went on × time of the second,
  each alone on batches of that size) / time of the cascade, in one run; see ``cascade_clock.py``.

1 MAC = 2 FLOPs.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from cascade_clock import (
    ROUNDS,
    ROUNDS_EACH,
    engines_alone,
    humps,
    in_rounds,
    openvino_members,
)
from public_resnets import SIZES, public
from record import record
from rich.console import Console
from rich.table import Table
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
    fit_temperature,
    outcomes,
    predict,
)
from dyncore.data import MemorySplit, Split, load_dataset

SHARES = (0.1, 0.15, 0.2, 0.225, 0.3, 0.4, 0.5)
"""Of the images that go on from the first of two members."""
IN_A_ROW = (0.3, 0.05)
"""Of all images, that go on to the second and to the third member."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure cascades of CIFAR-10 ResNets."""

    data: str = "uoft-cs/cifar10"
    """Data set: a Hub id or a folder."""
    weights: str | None = None
    """Folder of the public weights."""
    finetuned: str | None = None
    """Folder of model folders in place of the public weights."""
    clock: bool = False
    """Measure milliseconds, in OpenVINO; leave the machine alone meanwhile."""
    engine: bool = False
    """The same in dyncore's engine."""

    def __post_init__(self) -> None:
        if (self.weights is None) == (self.finetuned is None):
            raise ValueError("give --weights FOLDER or --finetuned FOLDER")
        if self.clock and self.engine:
            raise ValueError("give --clock or --engine, one at a time")


def members(options: Options) -> dict[int, Member]:
    """The networks by their number of layers."""
    if options.finetuned is not None:
        folder = Path(options.finetuned)
        networks = {n: dyncore.from_pretrained(folder / f"resnet{n}") for n in SIZES}
        return {n: Member.of(network, name=f"ResNet-{n}") for n, network in networks.items()}
    assert options.weights is not None
    return {n: Member.of(public(Path(options.weights), n), name=f"ResNet-{n}") for n in SIZES}


@functools.cache
def test_split(data: str) -> Split:
    """The test images; decoding takes a while."""
    return load_dataset(data).test


def test_batches(data: str, size: int) -> list[tuple[Tensor, Tensor]]:
    """The test images in [0, 1], and labels."""
    split = test_split(data)
    if not isinstance(split, MemorySplit):
        raise ValueError(f"{data} has no test split of small images")
    images = split.images.float() / 255
    return list(zip(images.split(size), split.labels.split(size), strict=True))


@dataclass(frozen=True)
class Study:
    """Every network's answers on the test images."""

    members: dict[int, Member]
    predictions: dict[int, Predictions]
    labels: Tensor

    def outcomes(
        self,
        names: Sequence[int],
        confidence: str = "max-probability",
        answer: str = "mean",
        *,
        fit: bool = False,
    ) -> Outcomes:
        """What a cascade of these networks answers after each member."""
        found = [self.predictions[n] for n in names]
        temperatures = (
            tuple(fit_temperature(p.logits, self.labels) for p in found)
            if fit
            else (1.0,) * len(found)
        )
        rule = Rule(confidence=confidence, answer=answer, temperatures=temperatures)  # type: ignore[arg-type]
        return outcomes(found, self.labels, [p.macs for p in found if p.macs is not None], rule)


def thresholds_for(found: Outcomes, shares: Sequence[float]) -> tuple[float, ...]:
    """Thresholds that let these shares of all images go on; equal confidences stay together."""
    thresholds: list[float] = []
    for index, share in enumerate(shares):
        asked = found.asked(thresholds + [0.0] * (len(shares) - index))[index]
        ranked = np.sort(found.confidence[index][asked])
        thresholds.append(float(ranked[int(share * found.images)]))
    return tuple(thresholds)


def named(names: Sequence[int]) -> str:
    """How tables call a cascade."""
    return "ResNet-" + " → ".join(map(str, names))


Row = dict[str, object]


def measured(found: Outcomes, thresholds: Sequence[float]) -> Row:
    """Accuracy and mean MACs of thresholds."""
    right, cost = found.result(thresholds)
    went_on = found.asked(thresholds).mean(1)[1:]
    return {
        "accuracy": float(right.mean()),
        "mean_macs": float(cost.mean()),
        "went_on": [round(float(share), 6) for share in went_on],
    }


CASCADES: tuple[tuple[tuple[int, ...], tuple[float, ...]], ...] = (
    *((pair, (share,)) for pair in itertools.combinations(SIZES, 2) for share in SHARES),
    (SIZES, IN_A_ROW),
)


def accuracy_rows(study: Study) -> Iterator[Row]:
    """Everything that is counted."""
    for n in SIZES:
        found = study.outcomes((n, n))
        macs = float(found.cost[0].mean())
        yield {
            "kind": "single",
            "model": f"ResNet-{n}",
            "accuracy": float(found.right[0].mean()),
            "mean_macs": macs,
        }
    for names, shares in CASCADES:
        for answer in ("mean", "last"):
            found = study.outcomes(names, answer=answer)
            thresholds = thresholds_for(found, shares)
            row = {"model": named(names), "answer": answer, "shares": list(shares)}
            yield {"kind": "cascade", **row, **measured(found, thresholds)}
            if answer == "last":
                continue
            for half in (0, 1):
                seen, unseen = found[half::2], found[1 - half :: 2]
                fitted = thresholds_for(seen, shares)
                here, there = measured(seen, fitted), measured(unseen, fitted)
                off = float(there["mean_macs"]) / float(here["mean_macs"]) - 1  # type: ignore[arg-type]
                yield {"kind": "halves", **row, "half": half, **there, "cost_off": off}
    budget = float(study.outcomes((32, 32)).cost[0].mean())
    for names in ((20, 32), (20, 56), SIZES):
        for confidence, answer, fit in itertools.product(
            ("max-probability", "margin", "entropy"), ("mean", "last"), (False, True)
        ):
            found = study.outcomes(names, confidence, answer, fit=fit)
            best = calibration(found, "MACs", Aim("budget", budget / float(found.cost[-1].mean())))
            yield {
                "kind": "budget",
                "model": named(names),
                "confidence": confidence,
                "answer": answer,
                "temperatures": "fitted" if fit else "1",
                "accuracy": best.chosen.accuracy,
                "expected_accuracy": best.expected_accuracy,
                "mean_macs": best.chosen.cost,
                "went_on": list(best.chosen.asked[1:]),
            }
            if (confidence, answer, fit) == ("max-probability", "mean", False):
                for setting in best.dial[:: max(1, len(best.dial) // 25)]:
                    yield {
                        "kind": "front",
                        "model": named(names),
                        "accuracy": setting.accuracy,
                        "mean_macs": setting.cost,
                    }


def shown(rows: Sequence[Row], kinds: Sequence[str]) -> None:
    """Print the rows of some kinds as a table each."""
    for kind in kinds:
        chosen = [row for row in rows if row["kind"] == kind]
        if not chosen:
            continue
        columns = [column for column in chosen[0] if column != "kind"]
        table = Table(*columns, title=kind)
        for row in chosen:
            table.add_row(*(_cell(row[column]) for column in columns))
        Console(width=140).print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value / 1e6:.1f} M" if value > 1e4 else f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(f"{number:.3g}" for number in value)
    return str(value)


CLOCKED = (
    *(((20, 32), share) for share in (0.2, 0.4)),
    *(((20, 56), share) for share in (0.1, 0.15, 0.225, 0.3, 0.4)),
)
"""Cascades and the shares of images that go on."""


def clock_rows(options: Options, study: Study) -> Iterator[Row]:
    """Milliseconds per image of every network and of cascades in OpenVINO; accuracy on all images.

    At batch 1 each image is timed, so that both humps of a cascade show: p50 and p99 are over
    images.
    """
    for batch, count in ((1, 500), (128, 20 * 128)):
        fast = openvino_members(study.members, batch)
        subjects: dict[str, Callable[[Tensor], object]] = {
            f"ResNet-{n}": member for n, member in fast.items()
        }
        counted = {
            f"ResNet-{n}": {
                "accuracy": float(study.outcomes((n, n)).right[0].mean()),
                "networks": [n],
                "share": 0.0,
            }
            for n in SIZES
        }
        for names, share in CLOCKED:
            cascade = Cascade([fast[n] for n in names])
            found = study.outcomes(names)
            cascade.thresholds = thresholds_for(found, (share,))
            name = f"{named(names)}, {share:.1%} go on"
            accuracy = float(found.result(cascade.thresholds)[0].mean())
            subjects[name] = cascade
            counted[name] = {"accuracy": accuracy, "networks": list(names), "share": share}
        batches = [images for images, _ in test_batches(options.data, batch)][: count // batch]
        rounds = in_rounds({name: (run, batches) for name, run in subjects.items()}, ROUNDS)
        for name in subjects:
            times = 1000 * rounds[name] / batch
            yield {
                "kind": "clock",
                "model": name,
                "batch": batch,
                **counted[name],
                "ms": float(np.median(times.mean(1))),
                "ms_least": float(times.mean(1).min()),
                **humps(times),
            }


PAIRS = ((20, 32), (20, 56))
EFFICIENCY_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Of unsure images."""
EFFICIENCY_BATCHES = {1: 300, 8: 640, 32: 640, 128: 1024}
"""Number of images that are timed."""


def efficiency_rows(options: Options, study: Study) -> Iterator[Row]:
    """What running members one after the other costs beside the members themselves."""
    for batch, count in EFFICIENCY_BATCHES.items():
        batches = [images for images, _ in test_batches(options.data, batch)][: count // batch]
        if options.engine:
            asked = study.members
            alone = engines_alone(study.members, batches)
        else:
            asked = openvino_members(study.members, batch)
            alone = {n: (asked[n], batches) for n in SIZES}
        runs: dict[object, tuple[Callable[[Tensor], object], Sequence[Tensor]]] = dict(alone)
        went_on = {}
        for names in PAIRS:
            cascade = Cascade([asked[n] for n in names])
            engine = dyncore.Engine(cascade, batches[0])
            for share in EFFICIENCY_SHARES:
                thresholds = thresholds_for(study.outcomes(names), (share,))
                run = partial(_run, cascade, thresholds, engine)
                went_on[names, share] = float(
                    torch.cat([run(images).member for images in batches]).double().mean()
                )
                runs[names, share] = run, batches
        rounds = {key: 1000 * times / batch for key, times in in_rounds(runs, ROUNDS_EACH).items()}
        each = {key: float(np.median(times, axis=0).mean()) for key, times in rounds.items()}
        for (names, share), measured_share in went_on.items():
            first, second = names
            members_ms = each[first] + measured_share * each[second]
            yield {
                "kind": "efficiency",
                "engine": "dyncore" if options.engine else "openvino",
                "model": named(names),
                "batch": batch,
                "share": share,
                "went_on": measured_share,
                "members_ms": [each[first], each[second]],
                "ms": each[names, share],
                "efficiency": members_ms / each[names, share],
                **humps(rounds[names, share]),
            }


def main(options: Options) -> None:
    """Count or time, print, and write the JSON."""
    networks = members(options)
    asks = [partial(ask, member) for member in networks.values()]
    answers = predict(asks, test_batches(options.data, 500), lambda images: None)
    study = Study(networks, dict(zip(SIZES, answers.members, strict=True)), answers.labels)
    suffix = "-finetuned" if options.finetuned else ""
    if options.clock:
        import openvino as ov

        rows = [*clock_rows(options, study), *efficiency_rows(options, study)]
        shown(rows, ("clock", "efficiency"))
        record(f"cascade-clock{suffix}", rows, {"openvino": ov.__version__})
        return
    if options.engine:
        rows = list(efficiency_rows(options, study))
        shown(rows, ("efficiency",))
        record(f"cascade-engine{suffix}", rows)
        return
    rows = list(accuracy_rows(study))
    shown(rows, ("single", "cascade", "halves", "budget"))
    record(f"cascade{suffix}", rows)


def _run(
    cascade: Cascade, thresholds: Sequence[float], engine: dyncore.Engine, images: Tensor
) -> dyncore.Output:
    """One engine serves all thresholds of its cascade."""
    cascade.thresholds = thresholds
    return engine(images)


def ask(member: Member, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """A member as a function, as :func:`dyncore.cascade.predict` takes it."""
    return member(images)


if __name__ == "__main__":
    main(tyro.cli(Options))
