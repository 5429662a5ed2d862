"""The generated parts of ``docs/cascades.md``."""

from itertools import groupby
from statistics import fmean

from page_campaign import half_interval, with_interval
from page_markdown import NOT_MEASURED, RESULTS, Row, bold, part, read, read_if_measured, table

EFFICIENCY_AIMS = {1: 0.95, 8: 0.90, 32: 0.90, 128: 0.90}
"""The project's aims, by batch size."""
CLOCKS = {
    "cascade-engine": "this engine",
    "cascade-engine-finetuned": "this engine, fine-tuned",
    "cascade-clock": "OpenVINO",
    "cascade-clock-finetuned": "OpenVINO, fine-tuned",
}
"""What measured efficiencies, and what the members ran in."""


def cascade() -> str:
    """Cascades of public networks as they are."""
    return _counted("cascade")


def cascade_finetuned() -> str:
    """Cascades of the same networks after fine-tuning."""
    return _counted("cascade-finetuned")


def _counted(name: str) -> str:
    """Cascades that answer with the mean of all members asked, beside single networks."""
    report = read_if_measured(name)
    if report is None:
        return NOT_MEASURED
    rows = [row for row in report["rows"] if row.get("answer", "mean") == "mean"]
    lines: list[tuple[str, ...]] = []
    for row in rows:
        macs, accuracy = f"{row['mean_macs'] / 1e6:.1f}", f"{row['accuracy']:.4f}"
        if row["kind"] == "single":
            lines.append((row["model"], "", macs, accuracy, "", ""))
        if row["kind"] == "cascade":
            key = row["model"], row["shares"]
            halves = [r for r in rows if r["kind"] == "halves" and (r["model"], r["shares"]) == key]
            apart = " and ".join(f"{half['accuracy']:.4f}" for half in halves)
            off = f"{100 * max(abs(half['cost_off']) for half in halves):.1f} %" if halves else ""
            shares = ", ".join(f"{100 * share:g} %" for share in row["shares"])
            lines.append((row["model"], shares, macs, accuracy, apart, off))
    head = (
        "networks",
        "go on",
        "M MACs",
        "accuracy",
        "thresholds of the other half",
        "cost off by",
    )
    return part(name, report, table(head, lines))


def cascade_pairs() -> str:
    """Every comparison of pairs at equal budgets."""
    parts = []
    for file in sorted(RESULTS.glob("cascade-pairs-*.json")):
        report = read(file.stem)
        parts.append(part(file.stem, report, _pairs(report["rows"])))
    return "\n\n".join(parts) or NOT_MEASURED


def _pairs(rows: list[Row]) -> str:
    """A line per network and per cascade, a column per budget; means over seeds."""
    budgets = sorted({row["budget"] for row in rows if row["kind"] == "cascade"})
    lines: list[tuple[str, ...]] = []
    singles = _by_seed(rows, "single")
    for model, found in singles.items():
        macs = fmean(row["macs_ratio"] for row in found.values())
        lines.append((model, f"{macs:.3f}", _alone(found), *[""] * len(budgets)))
    at = {budget: _by_seed(rows, "cascade", budget) for budget in budgets}
    for model in dict.fromkeys(model for found in at.values() for model in found):
        cells = (_together(at[b][model], singles, b) if model in at[b] else "" for b in budgets)
        lines.append((f"cascade {model}", "", "", *cells))
    head = ("networks", "MACs ratio", "accuracy", *(f"at {budget:g}" for budget in budgets))
    return table(head, lines)


def _by_seed(rows: list[Row], kind: str, budget: float | None = None) -> dict[str, dict[int, Row]]:
    """The rows of a kind by model and seed; of cascades those at one budget."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        if row["kind"] == kind and row.get("budget") == budget:
            found.setdefault(row["model"], {})[row.get("seed", 0)] = row
    return found


def _alone(found: dict[int, Row]) -> str:
    """Accuracy with its 95 % interval: over seeds, or of one network over the images."""
    accuracies = [row["accuracy"] for row in found.values()]
    half = half_interval(accuracies)
    if half is None:
        low, high = next(iter(found.values()))["interval"]
        half = (high - low) / 2
    return f"{fmean(accuracies):.4f} ± {half:.4f}"


def _together(found: dict[int, Row], singles: dict[str, dict[int, Row]], budget: float) -> str:
    """Accuracy; over seeds with the points above the best network that costs no more."""
    last = " (last)" if all(row["answer"] == "last" for row in found.values()) else ""
    mean = f"{fmean(row['accuracy'] for row in found.values()):.4f}{last}"
    affordable = [
        each
        for each in singles.values()
        if all(row["macs_ratio"] <= 1.005 * budget for row in each.values())
        and each.keys() >= found.keys()
    ]
    if len(found) < 2 or not affordable:
        return mean
    best = max(affordable, key=lambda each: fmean(row["accuracy"] for row in each.values()))
    points = [row["accuracy"] - best[seed]["accuracy"] for seed, row in found.items()]
    return f"{mean} ({with_interval(points)})"


def cascade_efficiency() -> str:
    """What cascades take beside their members alone, one line per engine, cascade and batch."""
    parts = []
    for name, engine in CLOCKS.items():
        report = read_if_measured(name)
        if report is None:
            continue
        if rows := [row for row in report["rows"] if row["kind"] == "efficiency"]:
            parts.append(part(name, report, _efficiencies(engine, rows)))
    return "\n\n".join(parts) or NOT_MEASURED


def _efficiencies(engine: str, rows: list[Row]) -> str:
    def place(row: Row) -> tuple[str, int]:
        return row["model"], row["batch"]

    lines = []
    for (model, batch), group in groupby(sorted(rows, key=place), place):
        cells, aim = list(group), EFFICIENCY_AIMS[batch]
        reached = [
            bold(f"{row['efficiency']:.2f}", round(row["efficiency"], 2) < aim) for row in cells
        ]
        lines.append(
            (
                model,
                batch,
                " / ".join(f"{100 * row['went_on']:.0f}" for row in cells),
                f"{' / '.join(reached)} [{aim:.2f}]",
                " / ".join(f"{row['ms']:.2f}" for row in cells),
                " / ".join(f"{row['ms_p50']:.2f}" for row in cells) if batch == 1 else "",
                " / ".join(f"{row['ms_p99']:.2f}" for row in cells) if batch == 1 else "",
            )
        )
    head = (f"members in {engine}", "batch", "% go on", "efficiency [aim]", "ms per image")
    return table((*head, "p50", "p99"), lines)


def cascade_clock_finetuned() -> str:
    """Milliseconds per image of fine-tuned networks and cascades of them in OpenVINO."""
    name = "cascade-clock-finetuned"
    report = read_if_measured(name)
    if report is None:
        return NOT_MEASURED
    rows = [row for row in report["rows"] if row["kind"] == "clock"]
    head = ("networks", "batch", "accuracy", "ms per image", "p50", "p99")
    lines = [
        (
            row["model"],
            row["batch"],
            f"{row['accuracy']:.4f}",
            f"{row['ms']:.2f}",
            f"{row['ms_p50']:.2f}" if row["batch"] == 1 else "",
            f"{row['ms_p99']:.2f}" if row["batch"] == 1 else "",
        )
        for row in rows
    ]
    return part(name, report, table(head, lines))
