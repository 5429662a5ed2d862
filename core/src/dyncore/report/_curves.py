"""Training curves, from the metrics that a run writes."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dyncore.files import replacing
from dyncore.report._drawing import COLOURS, Drawing, drawn, legend_below
from dyncore.report._page import page
from dyncore.training import METRICS_FILE

PAGE = "training.html"
SHOWN = (
    ("accuracy", "Accuracy", "accuracy", ("test/accuracy",)),
    ("loss", "Loss", "loss", ("train/loss",)),
    ("cost", "Cost", "share", ("train/macs_ratio", "test/macs_ratio", "test/execution_rate")),
    ("gap", "Relaxed against hard decisions", "mean difference", ("test/relaxed_gap",)),
    ("changes", "Images whose path is another than before", "share", ("test/changed_paths",)),
    ("learning-rate", "Learning rate", "learning rate", ("learning_rate",)),
)
"""Name, title, axis and metrics of each figure; the loss's terms have one of their own."""
TOTALS = ("train/loss", "train/execution_rate", "train/macs_ratio")


def write_curves(folder: Path) -> Path | None:
    """Write ``training.html`` beside the metrics of a run; None where it has none yet."""
    rows = _rows(folder / METRICS_FILE)
    drawings = curves(rows)
    if not drawings:
        return None
    with replacing(folder / PAGE) as temporary:
        text = page(f"Training of {folder.resolve().name}", _summary(rows), [("", drawings)])
        temporary.write_text(text, encoding="utf-8")
    return folder / PAGE


def curves(rows: Sequence[dict[str, Any]]) -> list[Drawing]:
    """A figure per kind of number, over epochs; phases change at dashed lines."""
    terms = sorted({key for row in rows for key in row if _is_term(key)})
    wanted = [*SHOWN, ("terms", "Terms of the loss", "loss term", tuple(terms))]
    return [drawing for shown in wanted if (drawing := _curve(rows, *shown)) is not None]


def _is_term(key: str) -> bool:
    return key.startswith("train/") and key not in TOTALS


def _curve(
    rows: Sequence[dict[str, Any]], name: str, title: str, label: str, keys: Sequence[str]
) -> Drawing | None:
    lines = {
        key: [(row["epoch"], row[key]) for row in rows if isinstance(row.get(key), float)]
        for key in keys
    }
    lines = {key: points for key, points in lines.items() if points}
    if not lines:
        return None
    with drawn(2.3) as (figure, (axes,)):
        for index, (key, points) in enumerate(lines.items()):
            style = {"marker": "o", "markersize": 3} if key.startswith("test/") else {}
            axes.plot(*zip(*points, strict=True), color=COLOURS[index % len(COLOURS)], label=key)
            if style:
                axes.lines[-1].set(**style)
        for epoch in _changes(rows):
            axes.axvline(epoch, linestyle="--", linewidth=0.8, color="#8b949e")
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(True)
        if len(lines) > 1:
            legend_below(figure, len(lines), max(map(len, lines)))
    said = "; ".join(
        f"{key} from {points[0][1]:.4g} to {points[-1][1]:.4g}" for key, points in lines.items()
    )
    return Drawing(name, title, f"Over {rows[-1]['epoch']:.3g} epochs: {said}.", figure)


def _changes(rows: Sequence[dict[str, Any]]) -> list[float]:
    """Epochs at which another phase began."""
    steps = [row for row in rows if "phase" in row]
    return [
        later["epoch"] for earlier, later in pairwise(steps) if earlier["phase"] != later["phase"]
    ]


def _summary(rows: Sequence[dict[str, Any]]) -> str:
    accuracies = [row["test/accuracy"] for row in rows if "test/accuracy" in row]
    last = f"{rows[-1]['step']} steps, {rows[-1]['epoch']:.3g} epochs"
    return f"{last}; accuracy {100 * accuracies[-1]:.2f} %" if accuracies else last


def _rows(file: Path) -> list[dict[str, Any]]:
    """The rows as far as they are whole: a run that was killed may have written half of one."""
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
