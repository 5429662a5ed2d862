"""``dyn cascade``."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from dyncore.calibration import Seen
from dyncore.cascade import (
    Aim,
    Cascade,
    Found,
    Kept,
    Member,
    Policy,
    Setting,
    Step,
    Unit,
    best_of,
    fit_temperature,
    from_pretrained,
    front_of,
    keys_of,
    library_member,
    milliseconds,
    onnx_member,
    predict_kept,
    search,
    shown,
    users_cache,
    wilson,
)
from dyncore.cli._label import label
from dyncore.cli._options import CascadeOptions
from dyncore.cli._waiting import waiting
from dyncore.data import Batch, Dataset, Loader, MemorySplit, Preprocessing, Split, load_dataset

SHOWN = 10
"""Cascades of the front that are printed and timed."""
BATCHES = ((1, 64), (32, 4))
"""Images per batch, and batches, of timing."""


def run(options: CascadeOptions) -> None:
    """``dyn cascade A B [C ...] --data D [--budget X | --accuracy X | --ms X] [--save FOLDER]``."""
    dataset = load_dataset(options.data, skip_corrupt=options.skip_corrupt)
    if dataset.test is None:
        raise ValueError(f"data set {dataset.name!r} has no test or validation split")
    members = [_member(source, dataset) for source in options.models]
    study = _Study(options, members, dataset, dataset.test)
    report = study.report()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report, options, dataset.name, len(dataset.test))
    if options.save is not None and study.chosen is not None:
        cascade = study.cascade(study.chosen)
        cascade.info = replace(cascade.info, dataset=dataset.name, metrics=_metrics(cascade))
        cascade.save_pretrained(options.save)
        print(f"written: {options.save}", file=sys.stderr if options.json else sys.stdout)


def _member(source: str, dataset: Dataset) -> Member:
    """A model by its folder, its name in a library, or its file."""
    package, colon, name = source.partition(":")
    if colon and package in ("timm", "torchvision"):
        return library_member(package, name)
    if source.endswith(".onnx"):
        try:
            return onnx_member(source)
        except ValueError:  # no file of ours, which says what its images go through
            return onnx_member(source, preprocessing=dataset.preprocessing)
    model = from_pretrained(source)
    if isinstance(model, Cascade):
        raise ValueError(f"{source} is a cascade: name its members, {source}/members/0 and others")
    return Member.of(
        model.float(),
        name=label(source),
        preprocessing=model.info.preprocessing or dataset.preprocessing,
    )


class _Study:
    """The models' answers, and what can be made of them."""

    def __init__(
        self, options: CascadeOptions, members: Sequence[Member], dataset: Dataset, split: Split
    ) -> None:
        self.options, self.members = options, members
        self.all = Cascade(members, classes=dataset.classes)
        view = self.all.info.preprocessing or dataset.preprocessing
        _check_unseen(members, split)
        self._batches = partial(_read, split, view, options.workers)
        asks = [partial(self.all.logits, index) for index in range(len(members))]
        kept = Kept(users_cache() if options.kept is None else Path(options.kept))
        keys = keys_of(members, split, dataset.classes, view)
        self.labels = split.labels.cpu().long()
        count = -(-len(split) // options.batch_size)
        batches = _with_bar(self._batches(options.batch_size), count)
        self.predictions = predict_kept(asks, keys, kept, self.labels, batches)
        fitted = options.fit_temperatures
        self.temperatures = [
            fit_temperature(p.logits, self.labels) if fitted else 1.0 for p in self.predictions
        ]
        self.unit, self.costs = self._costs()
        aim = None if set(options.aims.values()) == {None} else Aim.of(**options.aims)
        self.found = search(
            self.predictions,
            self.labels,
            self.costs,
            aim or Aim("budget", float(len(members))),
            self.unit,
            confidence=options.confidence,
            answer=options.answer,
            temperatures=self.temperatures,
        )
        self.chosen = None if aim is None else best_of(self.found, aim)

    def _costs(self) -> tuple[Unit, list[Tensor]]:
        """MACs where all are known and no milliseconds are asked for; else milliseconds."""
        macs = [found.macs for found in self.predictions if found.macs is not None]
        if self.options.ms is None and len(macs) == len(self.members):
            return "MACs", macs
        if self.options.budget is not None and self.options.ms is None:
            print("dyn: not every model's MACs are known: costs are times", file=sys.stderr)
        names = {str(index): member for index, member in enumerate(self.members)}
        images = [batch.images for batch in islice(self._batches(1), BATCHES[0][1])]
        return "ms", [torch.tensor(t) for t in milliseconds(names, images).values()]

    def cascade(self, step: Found | Step) -> Cascade:
        """The members of a step with its thresholds."""
        cascade = Cascade(
            [self.members[m] for m in step.members],
            classes=self.all.info.classes,
            confidence=self.options.confidence,
            answer=self.options.answer,
        )
        calibration = step.calibration if isinstance(step, Found) else None
        setting = step.setting if isinstance(step, Step) else step.calibration.chosen
        cascade.restore(
            Policy(
                confidence=self.options.confidence,
                answer=self.options.answer,
                cap=1.0,
                temperatures=tuple(self.temperatures[m] for m in step.members),
                thresholds=setting.thresholds,
                setting=setting,
                calibration=calibration,
            )
        )
        return cascade

    def report(self) -> dict[str, object]:
        """Every model, the front, and the chosen cascade, as JSON types."""
        singles = [self._alone(index) for index in range(len(self.members))]
        steps = [step for step in front_of(singles, self.found) if len(step.members) > 1]
        steps = steps[:: math.ceil(len(steps) / SHOWN)] if steps else []
        rows = [Step((index,), setting) for index, setting in enumerate(singles)] + steps
        if self.chosen is not None:
            rows.append(Step(self.chosen.members, self.chosen.calibration.chosen))
        described = [self._describe(row) for row in rows]
        for batch, count in BATCHES:
            images = [each.images for each in islice(self._batches(batch), count)]
            subjects: dict[str, Callable[[Tensor], object]] = {
                str(index): self.members[row.members[0]]
                if len(row.members) == 1
                else self.cascade(row)
                for index, row in enumerate(rows)
            }
            with waiting(f"timing at batch {batch}"):
                taken = milliseconds(subjects, images).values()
            for row, ms in zip(described, taken, strict=True):
                row[f"ms_batch_{batch}"] = ms
        chosen = described.pop() if self.chosen is not None else None
        if chosen is not None and self.chosen is not None:
            found = self.chosen.calibration
            chosen |= {
                "expected_accuracy": found.expected_accuracy,
                "interval": list(found.interval),
                "tolerance": found.tolerance,
                "says": str(found),
            }
        count = len(singles)
        return {
            "images": len(self.labels),
            "unit": self.unit,
            "models": described[:count],
            "front": described[count:],
            "chosen": chosen,
        }

    def _alone(self, index: int) -> Setting:
        right = self.predictions[index].logits.argmax(1) == self.labels
        return Setting(
            thresholds=(),
            asked=(1.0,),
            cost=float(self.costs[index].double().mean()),
            accuracy=float(right.double().mean()),
        )

    def _describe(self, step: Step) -> dict[str, object]:
        setting = step.setting
        names = " → ".join(self.members[m].name for m in step.members)
        return {
            "name": names,
            "members": list(step.members),
            **asdict(setting),
            "interval": list(wilson(setting.accuracy, len(self.labels))),
        }


def _metrics(cascade: Cascade) -> dict[str, float]:
    """What the card says: accuracy by thresholds of the other half, and the cost."""
    found = cascade.calibration
    assert found is not None
    metrics = {"accuracy": found.expected_accuracy}
    if found.unit == "MACs":
        metrics["macs_ratio"] = found.chosen.cost / found.last_cost
    return metrics


def _check_unseen(members: Sequence[Member], split: Split) -> None:
    """Images of splits that are decoded as they are read have no sketches to be known by."""
    if isinstance(split, MemorySplit):
        seen = Seen(members)
        seen.look(split.images.float() / 255)
        seen.refuse()


def _with_bar(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """The same, with a bar on a terminal where it takes longer than two seconds."""
    yield from tqdm(batches, "asking", count, unit="batch", delay=2, disable=None)


def _read(split: Split, view: Preprocessing, workers: int, batch_size: int) -> Iterator[Batch]:
    loader = Loader(
        split,
        batch_size=batch_size,
        preprocessing=view,
        device="cpu",
        workers=workers,
    )
    return loader.epoch(0)


def _print(report: dict[str, object], options: CascadeOptions, data: str, images: int) -> None:
    unit: Unit = "MACs" if report["unit"] == "MACs" else "ms"
    table = Table(box=None, pad_edge=False)
    for column in ("models", "cost", "ms, batch 1", "batch 32", "accuracy", "95 %", "asked"):
        table.add_column(column, justify="left" if column == "models" else "right")
    for kind in ("models", "front"):
        rows = report[kind]
        assert isinstance(rows, list)
        for row in rows:
            low, high = row["interval"]
            numbers = " → ".join(str(member + 1) for member in row["members"])
            table.add_row(
                f"{numbers}: {row['name']}" if kind == "models" else numbers,
                shown(row["cost"], unit),
                f"{row['ms_batch_1']:.3g}",
                f"{row['ms_batch_32']:.3g}",
                f"{row['accuracy']:.4f}",
                f"{low:.4f} to {high:.4f}",
                ", ".join(f"{share:.1%}" for share in row["asked"][1:]),
            )
        table.add_section()
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)
    print(
        f"per image, on {images} test images of {data}, which chose the thresholds, too "
        "(1 MAC = 2 FLOPs); milliseconds in PyTorch on this machine"
    )
    chosen = report["chosen"]
    if isinstance(chosen, dict):
        print(f"chosen: {chosen['name']}: {chosen['says']}")
