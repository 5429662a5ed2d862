"""The tables of the budget dial."""

from collections import defaultdict
from math import sqrt
from statistics import mean, stdev
from typing import Any

from page_markdown import NOT_MEASURED, bold, part, read_if_measured, table

MOST = 0.02
"""The project's aim for the dial's error, as a share of what was asked."""


def dial_error() -> str:
    """How far off the dial is on images that it has not seen, of every method."""
    report = read_if_measured("dial")
    if report is None:
        return NOT_MEASURED
    rows = [row for row in report["rows"] if row["seed"] == 0 and "+" not in row["recipe"]]
    budgets = _budgets(report["rows"])
    lines = []
    for row in rows:
        points = {point["budget"]: point for point in row["points"]}
        cells = [_error(points.get(budget)) for budget in budgets]
        lines.append(
            (f"`{row['recipe']}`", f"{row['least']:.2f}", f"{row['tolerance']:.1%}", *cells)
        )
    head = ("recipe", "least", "tolerance", *(f"budget {budget:.1f}" for budget in budgets))
    images = (
        f"{rows[0]['images']} images calibrate, as many others are counted; one run each (n = 1)."
    )
    return part("dial", report, images, table(head, lines))


def dial_curve() -> str:
    """Accuracy over cost after training for one budget, and for many."""
    report = read_if_measured("dial-curve")
    if report is None:
        return NOT_MEASURED
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in report["rows"]:
        for point in row["points"]:
            found[row["recipe"]][point["budget"]].append(point["accuracy"])
    budgets = _budgets(report["rows"])
    lines = [
        (f"`{recipe}`", *(_spread(points.get(budget, [])) for budget in budgets))
        for recipe, points in found.items()
    ]
    head = ("recipe", *(f"budget {budget:.1f}" for budget in budgets))
    seeds = len({row["seed"] for row in report["rows"]})
    runs = f"{report['rows'][0]['epochs']:g} epochs, n = {seeds} seeds each."
    return part("dial-curve", report, runs, table(head, lines))


def _budgets(rows: list[dict[str, Any]]) -> list[float]:
    return sorted({point["budget"] for row in rows for point in row["points"]})


def _error(point: dict[str, float] | None) -> str:
    if point is None:
        return ""
    return bold(f"{point['error']:+.1%}".replace("-", "−"), abs(point["error"]) > MOST)


def _spread(accuracies: list[float]) -> str:
    if not accuracies:
        return ""
    if len(accuracies) == 1:
        return f"{accuracies[0]:.4f}"
    return f"{mean(accuracies):.4f} ± {stdev(accuracies) / sqrt(len(accuracies)):.4f}"
