"""``dyn calibrate``."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from dyncore.calibration import Point, calibrate, curve
from dyncore.cli._options import CalibrateOptions
from dyncore.cli._test_split import load_test, numbers_of_classes
from dyncore.data import Loader, Part, Split
from dyncore.network import Dial, DynamicNetwork, from_pretrained

GRID = tuple(round(0.05 * step, 2) for step in range(1, 41))
"""Budgets that are tried where none are named."""


def run(options: CalibrateOptions) -> None:
    """``dyn calibrate MODEL --data D [--budgets 0.4 0.6] [--budget 0.5] [--output FOLDER]``."""
    output = options.output or (options.model if Path(options.model).is_dir() else None)
    if output is None:
        raise ValueError(f"say where the calibrated {options.model} goes: --output FOLDER")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = from_pretrained(options.model, revision=options.revision, device=device)
    dataset, test = load_test(options.data, model, skip_corrupt=options.skip_corrupt)
    if (numbers := numbers_of_classes(model, dataset)) is not None:
        test = test.numbered([numbers.index(number) for number in range(len(numbers))])
    halves = [_half(test, model, options, start) for start in range(2)]
    dial = calibrate(model, halves[0])
    budgets = options.budgets or _within(dial)
    points = curve(model, halves[1], budgets)
    model.set_budget(options.budget)
    model.save_pretrained(output)
    if options.json:
        rows = [{**asdict(point), "error": point.error} for point in points]
        print(json.dumps({"images": dial.images, "tolerance": dial.tolerance, "curve": rows}))
        return
    _print(points, dial, output)


def _half(split: Split, model: DynamicNetwork, options: CalibrateOptions, start: int) -> Loader:
    """Every second image of a split, or so many of those, in an order that mixes its classes."""
    if model.info.preprocessing is None:
        raise ValueError(
            f"{options.model} does not say what its images go through: calibrate it in Python, "
            "dyncore.calibrate(model, batches, preprocessing=...)"
        )
    rows = torch.arange(start, len(split), 2)
    mixed = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return Loader(
        Part(split, rows[mixed[: options.images]].tolist()),
        batch_size=options.batch_size,
        preprocessing=model.info.preprocessing,
        device=next(model.parameters()).device,
        workers=options.workers,
    )


def _within(dial: Dial) -> list[float]:
    """The grid's budgets that the dial reaches from both sides."""
    low, high = (dial.settings[end].cost / dial.static_cost for end in (0, -1))
    return [budget for budget in GRID if low <= budget <= high]


def _print(points: list[Point], dial: Dial, output: str) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("budget", "gives", "off by", "accuracy"):
        table.add_column(column, justify="right")
    for point in points:
        row = f"{point.ratio:.4f}", f"{point.error:+.2%}", f"{point.accuracy:.4f}"
        table.add_row(f"{point.budget:.2f}", *row)
    Console().print(table)
    print(
        f"on the other images of the split; budgets are shares of the static network's "
        f"{dial.static_cost / 1e6:.4g} M MACs (1 MAC = 2 FLOPs). Learned on {dial.images} images: "
        f"within {dial.tolerance:.1%} on many others (95 %)"
    )
    print(f"calibrated model: {output}")
