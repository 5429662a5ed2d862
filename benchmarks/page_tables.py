"""What the documents say of measurements: one function per generated part, from JSON to Markdown.

Each reads a file of ``benchmarks/results/`` and begins with what was measured on what; the names of
``PARTS`` are those of the markers that ``benchmarks/pages.py`` fills.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]

NETWORKS = {
    "blocks": "ResNet-50, whole blocks, routers 32 wide",
    "blocks-256": "ResNet-50, RDI-Net, routers 256 wide",
    "n2": "ResNet-50, DMNN N = 2",
    "n4": "ResNet-50, DMNN N = 4",
    "mobile": "MobileNetV2, DMNN N = 2",
    "channels-50": "ResNet-50, LC-Net, single channels",
    "groups-50": "ResNet-50, LC-Net, groups of 16",
    "rdinet-110": "CIFAR ResNet-110, RDI-Net",
    "spnet-110": "CIFAR ResNet-110, SP-Net",
    "channels-18": "CIFAR ResNet-18, LC-Net, single channels",
    "groups-18": "CIFAR ResNet-18, LC-Net, groups of 16",
}
"""What the workloads of ``benchmarks/engine.py`` are, in the table's order."""
EFFICIENCY_AIMS = {
    "blocks": {1: 0.90, 8: 0.92, 32: 0.92},
    "blocks-256": {1: 0.80, 8: 0.90, 32: 0.90},
    "n2": {1: 0.76, 8: 0.82, 32: 0.80},
    "n4": {1: 0.68, 8: 0.77, 32: 0.75},
    "channels-50": {1: 0.60, 8: 0.60, 32: 0.60},
    "rdinet-110": {1: 0.55, 128: 0.80},
    "spnet-110": {1: 0.55, 128: 0.80},
    "channels-18": {1: 0.40, 8: 0.40, 32: 0.40},
}
"""The project's aims, by workload and batch size."""
MOST_OVER_DENSE = 1.03
"""Beyond it skipping loses to the same network without routers."""
ENGINES = {
    "eager": "eager",
    "compile": "`torch.compile`, freezing",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}
BACKBONES = {
    "resnet50": "ResNet-50",
    "mobilenetv2": "MobileNetV2",
    "resnet110-cifar": "CIFAR ResNet-110",
    "resnet18-cifar": "CIFAR ResNet-18",
}
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


def read(name: str) -> Row:
    """``benchmarks/results/<name>.json``."""
    report: Row = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return report


def measured(name: str, report: Row) -> str:
    """How, on what and with what it was measured, and where all of it is."""
    machine = [f"{report['threads']} threads on {report['processor']}"]
    if report.get("device", "cpu") != "cpu":
        machine.append(report["device"])
    packages = [key for key in ("torch", "onnxruntime", "openvino") if report.get(key)]
    versions = [f"{key} {report[key].partition('+')[0]}" for key in packages]
    where = ", ".join([*machine, *versions])
    return f"`{report['command']}`; {where} ([JSON](../benchmarks/results/{name}.json))."


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def part(name: str, report: Row, *paragraphs: str) -> str:
    """What was measured on what, then the paragraphs."""
    return "\n\n".join([measured(name, report), *paragraphs])


def bold(text: str, if_true: bool) -> str:
    """``text``, in bold where it misses an aim."""
    return f"**{text}**" if if_true else text


def decisions(row: Row) -> tuple[float | None, str]:
    """The rate of a row, if it has one, and where its decisions come from, if not from routers."""
    if isinstance(row["rate"], str):
        rate, _, note = row["rate"].partition(", ")
        return (float(rate), note) if note else (None, rate)
    return row["rate"], ""


def engine() -> str:
    """Efficiency of the engine, one line per network and batch size."""
    report = read("engine-cpu")

    def place(row: Row) -> tuple[int, str, int]:
        return list(NETWORKS).index(row["workload"]), decisions(row)[1], row["batch"]

    lines, missed, aimed = [], 0, 0
    for (_, note, batch), group in groupby(sorted(report["rows"], key=place), place):
        cells = list(group)
        workload = cells[0]["workload"]
        aim = None if note else EFFICIENCY_AIMS.get(workload, {}).get(batch)
        misses = [aim is not None and round(row["efficiency"], 2) < aim for row in cells]
        missed, aimed = missed + sum(misses), aimed + (len(cells) if aim is not None else 0)
        reached = [
            bold(f"{row['efficiency']:.2f}", miss) for row, miss in zip(cells, misses, strict=True)
        ]
        times = [
            bold(f"{row['over_dense']:.2f}", round(row["over_dense"], 2) > MOST_OVER_DENSE)
            for row in cells
        ]
        rates = [decisions(row)[0] for row in cells]
        lines.append(
            (
                f"{NETWORKS[workload]}{'; ' if note else ''}{note}",
                batch,
                " / ".join("–" if rate is None else f"{rate:g}" for rate in rates),
                " / ".join(reached) + (f" [{aim:.2f}]" if aim is not None else ""),
                " / ".join(f"{row['macs_ratio']:.2f}" for row in cells),
                " / ".join(times),
            )
        )
    head = ("network", "batch", "rates", "efficiency [aim]", "MACs ratio", "time over dense")
    count = f"{missed} of {aimed} cells with an aim miss it."
    return part("engine-cpu", report, table(head, lines), count)


def engine_static() -> str:
    """What the static engines take, and ours for the same network."""
    report = read("engine-cpu")
    lines = {}
    for row in report["rows"]:
        backbone = row["model"].partition("-")[2].removesuffix("-n2").removesuffix("-n4")
        static = [row["static_s"].get(engine) for engine in ENGINES]
        lines[backbone, row["batch"]] = [
            "–" if seconds is None else f"{1000 * seconds:.2f}"
            for seconds in (*static, row["own_static_s"])
        ]
    order = sorted(lines, key=lambda key: (list(BACKBONES).index(key[0]), key[1]))
    head = ("static, ms", "batch", *ENGINES.values(), "this engine, no routers")
    return table(head, [(BACKBONES[key[0]], key[1], *lines[key]) for key in order])


def engine_rounding() -> str:
    """How far the engine's answers were from float64's, next to eager's."""
    report = read("engine-cpu")
    found = {
        (row["workload"], row["rate"]): row["agreement"]
        for row in report["rows"]
        if row["agreement"]
    }.values()
    over = [one["error"] / one["eager_error"] for one in found]
    images, others, eagers = (
        sum(one[key] for one in found) for key in ("images", "other_path", "eager_other_path")
    )
    return (
        f"The largest error of a logit was {min(over):.1f} to {max(over):.1f} times eager's; of "
        f"{images} images {others} took another path than in float64, in eager {eagers}."
    )


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
    "engine": engine,
    "engine-static": engine_static,
    "engine-rounding": engine_rounding,
    "export": export,
    "race": race,
    "training": training,
    "latency": latency,
    "startup": startup,
    "soak-resume": soak_resume,
    "soak-engine": soak_engine,
}
