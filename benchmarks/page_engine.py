"""The generated parts of ``docs/engine.md``, from ``benchmarks/results/engine-*.json``."""

from itertools import groupby

from page_markdown import BACKBONES, NOT_MEASURED, Row, bold, part, read, read_if_measured, table

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
BF16_AIMS = {"blocks": {1: 0.80, 8: 0.85, 32: 0.85}}
"""The same in bfloat16, where the processor has AVX512-BF16."""
MAX_OVER_DENSE = 1.03
"""Beyond it skipping loses to the same network without routers."""
ENGINES = {
    "eager": "eager",
    "compile": "`torch.compile`, freezing",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}


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
            bold(f"{row['over_dense']:.2f}", round(row["over_dense"], 2) > MAX_OVER_DENSE)
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


def engine_bf16() -> str:
    """The same in bfloat16, with the fastest static engine of any precision first."""
    name, command = "engine-cpu-bf16", "`python benchmarks/engine.py --precision bf16`"
    report = read_if_measured(name)
    if report is None:
        return f"Not measured yet: {command} measures it and writes its JSON."
    measured = [row for row in report["rows"] if not decisions(row)[1]]

    def place(row: Row) -> tuple[int, int]:
        return list(NETWORKS).index(row["workload"]), row["batch"]

    lines, missed, aimed = [], 0, 0
    for (_, batch), group in groupby(sorted(measured, key=place), place):
        cells = list(group)
        workload = cells[0]["workload"]
        aim = BF16_AIMS.get(workload, {}).get(batch)
        misses = [aim is not None and round(row["efficiency"], 2) < aim for row in cells]
        missed, aimed = missed + sum(misses), aimed + (len(cells) if aim is not None else 0)
        reached = [
            bold(f"{row['efficiency']:.2f}", miss) for row, miss in zip(cells, misses, strict=True)
        ]
        lines.append(
            (
                " / ".join(f"{row['over_fastest']:.2f}" for row in cells),
                NETWORKS[workload],
                batch,
                " / ".join(f"{decisions(row)[0]:g}" for row in cells),
                " / ".join(reached) + (f" [{aim:.2f}]" if aim is not None else ""),
                " / ".join(f"{row['macs_ratio']:.2f}" for row in cells),
                f"{cells[0]['fastest_static']} {1000 * min(cells[0]['static_s'].values()):.2f}",
                _others(cells),
            )
        )
    head = (
        "of fastest",
        "network",
        "batch",
        "rates",
        "efficiency [aim]",
        "MACs ratio",
        "fastest static, ms",
        "images on another path than in float64",
    )
    return part(name, report, table(head, lines), f"{missed} of {aimed} cells with an aim miss it.")


def _others(rows: list[Row]) -> str:
    """Of the images that were compared, those that took another path than in float64."""
    found = [row["agreement"] for row in rows if row["agreement"]]
    others, images = (sum(one[key] for one in found) for key in ("other_path", "images"))
    return f"{others} of {images}"


def engine_accuracy() -> str:
    """What bfloat16 costs trained networks, over all test images."""
    name = "engine-accuracy"
    report = read_if_measured(name)
    if report is None:
        return NOT_MEASURED
    lines = [
        (
            f"`{row['model']}`",
            f"{row['accuracy_fp32']:.4f}",
            f"{row['accuracy_bf16']:.4f}",
            f"{row['macs_ratio_fp32']:.4f} / {row['macs_ratio_bf16']:.4f}",
            f"{row['other_path']} / {row['other_class']} of {row['images']}",
            f"{row['error']:.2f} ({row['bound']:.2f})",
            " / ".join(row["default"].values()),
        )
        for row in report["rows"]
    ]
    counts = " / ".join(report["rows"][0]["default"])
    head = (
        "model",
        "float32",
        "bfloat16",
        "MACs ratio",
        "images on another path / of another class",
        "largest error of a logit (bound)",
        f"default, with {counts} example images",
    )
    return part(name, report, table(head, lines))


def engine_threads() -> str:
    """Images per second by threads and processes."""
    name = "engine-threads"
    report = read_if_measured(name)
    if report is None:
        return NOT_MEASURED
    rows = report["rows"]
    batches = sorted({row["batch"] for row in rows})
    keys = ("precision", "processes", "threads", "pinned", "simulated")
    rates = {(*(row[key] for key in keys), row["batch"]): row["images_per_s"] for row in rows}
    lines = [
        (
            precision,
            f"{processes} × {threads}" + (" (more than cores)" if simulated else ""),
            "yes" if pinned else "no",
            *(f"{rates[precision, processes, threads, pinned, simulated, b]:.0f}" for b in batches),
        )
        for precision, processes, threads, pinned, simulated in dict.fromkeys(
            tuple(row[key] for key in keys) for row in rows
        )
    ]
    shown = f"{NETWORKS[rows[0]['workload']]}, rate {rows[0]['rate']:g}"
    head = (shown, "processes × threads", "pinned", *(f"images/s, batch {b}" for b in batches))
    return part(name, report, table(head, lines))


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
