"""The generated parts of ``docs/cascades.md``."""

from itertools import groupby

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
    """A line per network and per cascade, a column per budget."""
    budgets = sorted({row["budget"] for row in rows if row["kind"] == "cascade"})
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if row["kind"] == "single":
            alone = f"{row['accuracy']:.4f} ± {(row['interval'][1] - row['interval'][0]) / 2:.4f}"
            lines.append((row["model"], f"{row['macs_ratio']:.3f}", alone, *[""] * len(budgets)))
    for model, group in groupby(
        (row for row in rows if row["kind"] == "cascade"), lambda row: row["model"]
    ):
        at = {row["budget"]: f"{row['accuracy']:.4f}{_whose(row)}" for row in group}
        lines.append((f"cascade {model}", "", "", *(at.get(budget, "") for budget in budgets)))
    head = ("networks", "MACs ratio", "accuracy", *(f"at {budget:g}" for budget in budgets))
    return table(head, lines)


def _whose(row: Row) -> str:
    """Marks where the last one asked answers alone."""
    return " (last)" if row["answer"] == "last" else ""


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
