"""The generated part of the README: how much faster, and on what."""

from page_engine import ENGINES
from page_markdown import Row, read, read_if_measured, table

RATE = 0.5
WORKLOAD = "blocks"
BATCHES = (1, 8)
BF16 = "engine-cpu-bf16"
CLOCK, BATCH = "cascade-clock-finetuned", 128


def first_minute() -> str:
    """ResNet-50 in every static engine beside ours, and a cascade beside its last member."""
    return "\n\n".join([_skipping(), _cascade()])


def _skipping() -> str:
    report = read("engine-cpu")
    rows = [_row(report["rows"], batch) for batch in BATCHES]
    lines = []
    for row in rows:
        static = [row["static_s"].get(engine) for engine in ENGINES]
        ours = f"**{1000 * row['p50_s']:.1f}**"
        images = "1 image" if row["batch"] == 1 else f"{row['batch']} images"
        cells = ["–" if seconds is None else f"{1000 * seconds:.1f}" for seconds in static]
        lines.append((f"ResNet-50, {images} of 224²", ours, *cells))
    ratios = " and ".join(f"{row['macs_ratio']:.2f}" for row in rows)
    return "\n\n".join(
        [
            table(("milliseconds", "dyncore, skipping", *ENGINES.values()), lines),
            "First `dyncore.Engine`, where routers let half of the blocks run, other ones for each "
            f"image: {ratios} of the MACs; then the static network in other engines. Weights "
            f"are random: this is the clock alone. {_where(report)}; {_how('engine-cpu', report)}."
            + _in_bfloat16(),
        ]
    )


def _in_bfloat16() -> str:
    """The same two cells in bfloat16, where that was measured."""
    report = read_if_measured(BF16)
    if report is None:
        return ""
    rows = [_row(report["rows"], batch) for batch in BATCHES]
    ours = " and ".join(f"{1000 * row['p50_s']:.1f}" for row in rows)
    others = " and ".join(f"{1000 * min(row['static_s'].values()):.1f}" for row in rows)
    return (
        f" In bfloat16 it takes {ours} ms, the fastest static engine {others}; "
        f"{_how(BF16, report)}."
    )


def _row(rows: list[Row], batch: int) -> Row:
    (found,) = (
        row
        for row in rows
        if (row["workload"], row["batch"], row["rate"]) == (WORKLOAD, batch, RATE)
    )
    return found


def _cascade() -> str:
    """The cheapest cascade that is no less accurate than the largest network alone."""
    report = read(CLOCK)
    clock = [row for row in report["rows"] if row["kind"] == "clock"]
    rows = [row for row in clock if row["batch"] == BATCH]
    alone = max((row for row in rows if row["share"] == 0), key=lambda row: max(row["networks"]))
    better = [row for row in rows if row["share"] and row["accuracy"] >= alone["accuracy"]]
    found = min(better, key=lambda row: float(row["ms"]))
    names = " and ".join(f"ResNet-{depth}" for depth in found["networks"])
    return (
        f"With accuracy, on CIFAR-10: a cascade of {names} takes **{found['ms']:.2f} ms** per "
        f"image at batch {BATCH} and is right for {100 * found['accuracy']:.2f} % of the images, "
        f"{alone['model']} alone takes {alone['ms']:.2f} ms and is right for "
        f"{100 * alone['accuracy']:.2f} %, both in OpenVINO; {_how(CLOCK, report)}."
    )


def _where(report: Row) -> str:
    processor = report["processor"].partition(" (")[0]
    return f"{processor}, {report['threads']} threads, float32"


def _how(name: str, report: Row) -> str:
    return f"`{report['command']}` ([JSON](benchmarks/results/{name}.json))"
