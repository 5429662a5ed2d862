"""What the documents say of measurements: one function per generated part, from JSON to Markdown.

Each begins with what was measured on what; the names of ``PARTS`` are those of the markers that
``benchmarks/pages.py`` fills.
"""

from collections.abc import Callable

from page_ablations import ablations
from page_as_printed import as_printed
from page_campaign import means, routing
from page_cascade import (
    cascade,
    cascade_clock_finetuned,
    cascade_efficiency,
    cascade_finetuned,
    cascade_pairs,
)
from page_compatibility import compatibility
from page_dial import dial_curve, dial_error
from page_engine import (
    engine,
    engine_accuracy,
    engine_bf16,
    engine_rounding,
    engine_static,
    engine_threads,
)
from page_families import families
from page_first_minute import first_minute
from page_foretold import foretold
from page_markdown import BACKBONES, bold, part, read, table
from page_means import means_alone

METHODS = {
    "static": "static",
    "vanilla": "vanilla",
    "rdinet": "RDI-Net",
    "cdb": "CDB, N = 2",
    "dmnn": "DMNN, N = 2",
    "spnet": "SP-Net",
    "lcnet": "LC-Net",
}
TIME_AIMS = {"rdinet": 1.25, "lcnet": 1.25, "cdb": 1.35, "dmnn": 1.35, "spnet": 1.6}
MEMORY_AIM = 1.35
"""The project's aims for a training step, over the static backbone's."""


def export() -> str:
    """Time of exported files over eager's masked network."""
    report = read("export")
    rates = sorted({row["rate"] for row in report["rows"]})
    ratios = {(row["form"], row["rate"]): row["over_eager"] for row in report["rows"]}
    forms = dict.fromkeys(row["form"] for row in report["rows"])
    model = report["rows"][0]["model"]
    shown = table(
        (f"`{model}`, batch 1", *(f"rate {rate:.2f}" for rate in rates)),
        [(form, *(f"{ratios[form, rate]:.2f}" for rate in rates)) for form in forms],
    )
    return part("export", report, shown)


def race() -> str:
    """Every method after a few epochs, beside the static network."""
    report = read("race")
    rows = report["rows"]
    lines = []
    for row in rows:
        points = 100 * (row["accuracy"] - rows[0]["accuracy"])
        blocks = f"{row['lowest_block_rate']:.2f} … {row['highest_block_rate']:.2f}"
        lines.append(
            (
                f"`{row['recipe']}`",
                f"{row['accuracy']:.4f}",
                f"{points:+.1f}".replace("-", "−") if row is not rows[0] else "",
                f"{row['macs_ratio']:.3f} ({row['budget_macs_ratio']:.3f})",
                f"{row['execution_rate']:.3f} ({blocks})",
                f"{row['distinct_paths']:.0f}",
                f"{row['path_entropy_bits']:.2f} bits",
            )
        )
    head = ("recipe", "accuracy", "points", "MACs ratio (at budget)", "rate (of blocks)")
    shown = table((*head, "distinct paths", "path entropy"), lines)
    epochs = f"{rows[0]['epochs']:g} epochs, one run each (n = 1, seed 0)."
    return part("race", report, epochs, shown)


def training() -> str:
    """What a training step costs over the static backbone's."""
    report = read("training-cpu")
    rows = {(row["backbone"], row["batch"], row["method"]): row for row in report["rows"]}
    works = dict.fromkeys((backbone, batch) for backbone, batch, _ in rows)
    head = ["method"]
    for backbone, batch in works:
        head += [f"{BACKBONES[backbone]}, batch {batch}: time", "memory"]
    lines = []
    for method in dict.fromkeys(method for *_, method in rows):
        line = [METHODS[method]]
        for work in works:
            row, aim = rows[(*work, method)], TIME_AIMS.get(method)
            time, memory = row["time_ratio"], row["memory_ratio"]
            if method == "static":
                line += [f"{row['step_s']:.3f} s", f"{row['peak_mib']:.0f} MiB"]
                continue
            aimed = f" [{aim:.2f}]" if aim else ""
            line.append(bold(f"{time:.2f}", aim is not None and time > aim) + aimed)
            line.append(bold(f"{memory:.2f}", memory > MEMORY_AIM))
        lines.append(line)
    return part("training-cpu", report, table(head, lines))


def latency() -> str:
    """Masked and skipped inference in their plain forms."""
    report = read("latency")
    keys = ("macs_ratio", "masked_over_static", "skipped_over_static", "skipped_efficiency")
    shown = table(
        ("model", "batch", "rate", "MACs ratio", "masked", "skipped", "efficiency"),
        [
            (f"`{row['model']}`", row["batch"], row["rate"], *(f"{row[key]:.2f}" for key in keys))
            for row in report["rows"]
        ],
    )
    return part("latency", report, shown)


def startup() -> str:
    """CPU seconds until something happens."""
    report = read("startup")
    lines = [
        (
            f"`{row['what']}`",
            f"{row['cold_cpu_s']:.2f}" if "cold_cpu_s" in row else "",
            f"{row['cpu_s']:.2f}",
            f"{row['of_import_torch']:.2f}" if "of_import_torch" in row else "",
        )
        for row in report["rows"]
    ]
    return part("startup", report, table(("", "cold", "warm", "of `import torch`"), lines))


def soak_resume() -> str:
    """Kills that training runs survived."""
    report = read("soak_resume")
    writing = sum(row["writing"] for row in report["rows"])
    link = "[JSON](../benchmarks/results/soak_resume.json)"
    return f"{len(report['rows'])} kills survived, {writing} within a checkpoint ({link})"


def soak_engine() -> str:
    """Memory over many calls of an engine."""
    (row,) = read("soak_engine")["rows"]
    link = "[JSON](../benchmarks/results/soak_engine.json)"
    before, grown = f"{row['mib']:.1f} MiB", f"{row['grown_mib']:+.1f} at the end"
    return f"{row['calls']:,} calls: {before}, {grown} ({link})"


PARTS: dict[str, Callable[[], str]] = {
    "first-minute": first_minute,
    "engine": engine,
    "engine-static": engine_static,
    "engine-bf16": engine_bf16,
    "engine-rounding": engine_rounding,
    "engine-accuracy": engine_accuracy,
    "engine-threads": engine_threads,
    "export": export,
    "families": families,
    "race": race,
    "ablations": ablations,
    "routing": routing,
    "foretold": foretold,
    "means": means,
    "means-alone": means_alone,
    "cascade": cascade,
    "cascade-efficiency": cascade_efficiency,
    "cascade-clock-finetuned": cascade_clock_finetuned,
    "cascade-finetuned": cascade_finetuned,
    "cascade-pairs": cascade_pairs,
    "dial-error": dial_error,
    "dial-curve": dial_curve,
    "training": training,
    "latency": latency,
    "startup": startup,
    "soak-resume": soak_resume,
    "soak-engine": soak_engine,
    "compatibility": compatibility,
    "as-printed": as_printed,
}
