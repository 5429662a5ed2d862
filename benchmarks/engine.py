"""What skipping saves on the clock: the engine against the best static one, in one run.

``python benchmarks/engine.py [--quick] [--only NAME …] [--precision bf16] [--device cuda]`` prints,
per network, batch size and rate, first *of fastest* = time of ours / time of the fastest static
engine of any precision, OpenVINO's own choice among them. Then efficiency = (time of the best
static engine of the same precision × MACs ratio) / time of ours: 1 is the limit, time in
proportion to work. Weights are random; each gate's bias is such that it is on for the given share
of random images, so decisions are the routers' own and differ between images.
*of dense* is our time over that of this engine for the same network without routers and with every
block on: the static backbone, or, where blocks have several paths, one of such blocks. *no routers*
is a run on the same decisions, which are given to it. Writes JSON to ``benchmarks/results/``.

``--traces FILE …`` adds decisions of trained networks: the ``evaluation.parquet`` of a run,
replayed through ``path=`` (so without routers) on each network that has the same paths per block.
``docs/engine.md`` says how to get one.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
import static_engines
import torch
import tyro
from engine_workloads import CALIBRATION, WORKLOADS, Workload, calibrated
from record import record
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import dyncore
from dyncore.network import DynamicNetwork
from dyncore.training import Evaluation

ROUNDS = 3
COMPARED = 4
"""Images whose answers are compared with float64."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the engine against the best static engine."""

    only: tuple[str, ...] = ()
    """Workloads; none: all, in bf16 on a CPU those that say so."""
    batches: tuple[int, ...] = ()
    """Batch sizes; none: the workloads'."""
    seconds: float = 0.35
    """Measuring time per figure."""
    quick: bool = False
    """Two workloads, two batch sizes, little time: under a minute."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to run: in ``precision`` on a CPU, in bfloat16 on a GPU."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of our engine on a CPU, and of the static engines that efficiency compares it with."""
    engines: tuple[str, ...] = ()
    """Static engines; none: all that are installed."""
    traces: tuple[str, ...] = ()
    """Evaluation files of runs, whose execution paths are replayed."""


class Dynamic:
    """One engine at one rate, or on forced paths; remembers the execution path of each run."""

    def __init__(
        self,
        engine: dyncore.Engine,
        batches: Sequence[Tensor],
        paths: Sequence[dyncore.ExecutionPath] | None = None,
    ) -> None:
        self.engine, self.forced = engine, paths is not None
        self.batches = itertools.cycle(zip(batches, paths or itertools.repeat(None), strict=False))
        self.paths: list[dyncore.ExecutionPath] = []

    def __call__(self) -> None:
        """Run the next batch."""
        images, path = next(self.batches)
        self.paths.append(self.engine(images, path=path).path)

    def forget(self) -> None:
        """The last run does not count."""
        self.paths.pop()

    def ratios(self, table: dyncore.CostTable) -> list[float]:
        """MACs ratio per run; routers count unless paths are forced."""
        unused = sum(block.router for block in table.blocks) if self.forced else 0
        macs = [float(table.macs(path).double().mean()) - unused for path in self.paths]
        return [table.ratio(value) for value in macs]


def replayed(
    evaluation: Evaluation, paths_per_block: Sequence[int], batch: int, count: int
) -> list[dyncore.ExecutionPath]:
    """Paths of ``count`` batches of images, drawn from an evaluation."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(evaluation.path), (count, batch), generator=generator)
    table = torch.from_numpy(evaluation.path)
    return [dyncore.ExecutionPath.of(table[row], paths_per_block) for row in rows]


def in_turns(
    runs: dict[str, Callable[[], object]], seconds: float, device: torch.device
) -> dict[str, list[float]]:
    """Times of every run in ``ROUNDS`` bursts, taken in turns; a run ends when ``device`` is done.

    A burst begins with a pause, as threads of other engines may still be spinning, and, where it
    is to hold several runs, with one that does not count.
    """
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def timed(run: Callable[[], object]) -> float:
        start = time.perf_counter()
        run()
        wait()
        return time.perf_counter() - start

    def uncounted(run: Callable[[], object]) -> float:
        duration = timed(run)
        if isinstance(run, Dynamic):
            run.forget()
        return duration

    lasted = {name: uncounted(run) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            time.sleep(0.02)
            if 2 * lasted[name] < seconds / ROUNDS:
                uncounted(run)
            burst = 0.0
            while burst < seconds / ROUNDS:
                times[name].append(timed(run))
                burst += times[name][-1]
            lasted[name] = times[name][-1]  # the first run of all may have captured graphs
    return times


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(workloads: list[Workload], options: Options) -> list[dict[str, object]]:
    """One row per workload, batch size and rate; all workloads have one static backbone."""
    device = torch.device(options.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    size = workloads[0].size
    static_model = dyncore.create_model(workloads[0].static).eval().to(device, dtype)
    example = torch.randn(1, 3, size, size, device=device, dtype=dtype)
    own_precision = options.precision if device.type == "cpu" else None
    build_engine = partial(dyncore.Engine, precision=own_precision)
    dense = build_engine(static_model, example)
    drawn = torch.randn(CALIBRATION, 3, size, size, device=device)
    evaluations = {
        "/".join(Path(file).parent.parts[-2:]): Evaluation.load(file) for file in options.traces
    }
    engines, tables, agreements, traces, whole = {}, {}, {}, {}, {}
    for workload in workloads:
        for rate in workload.rates:
            model = calibrated(workload, rate, drawn).to(dtype)
            engine = engines[workload.name, rate] = build_engine(model, example)
            agreement = engine.compare(drawn[:COMPARED].to(dtype))
            agreements[workload.name, rate] = asdict(agreement)
            print(f"{workload.name}, rate {rate}: {agreement}")
        tables[workload.name] = dyncore.cost_table(model, (3, size, size))
        if max(model.paths_per_block) > 1:
            config = replace(model.config, router=None, gate=None)
            undecided = DynamicNetwork(config).eval().to(device, dtype)
            whole[workload.name] = build_engine(undecided, example)
        for name, evaluation in evaluations.items():
            if np.bincount(evaluation.blocks).tolist() == list(model.paths_per_block):
                traces[workload.name, name] = engine, evaluation, model.paths_per_block
    kinds, others = static_kinds(options)
    rows: list[dict[str, object]] = []
    for batch in options.batches or sorted({b for w in workloads for b in w.batches}):
        shape, count = (batch, *example.shape[1:]), -(-16 // batch)
        many = [torch.randn(shape, device=device, dtype=dtype) for _ in range(count)]
        images = many[0]
        runs: dict[str, Callable[[], object]] = {"dense": partial(dense, images)}
        runs |= {f"{name} dense": partial(engine, images) for name, engine in whole.items()}
        for name, build in (kinds | others).items():
            if not options.engines or name in options.engines:
                try:
                    runs[name] = build(static_model.backbone, images)
                except ImportError as missing:
                    print(f"without {name}: {missing}")
        dynamic = {
            (workload.name, rate): Dynamic(engines[workload.name, rate], many)
            for workload in workloads
            for rate in workload.rates
        }
        for workload in workloads:
            apart = workload.routers_apart and own_precision != "bf16"
            for rate in workload.rates if apart else ():
                own_paths = [engines[workload.name, rate](images).path for images in many]
                key = workload.name, f"{rate}, no routers"
                dynamic[key] = Dynamic(engines[workload.name, rate], many, own_paths)
        for key, (engine, evaluation, paths_per_block) in traces.items():
            paths = replayed(evaluation, paths_per_block, batch, len(many))
            dynamic[key] = Dynamic(engine, many, paths)
        runs |= {f"{name} {rate}": run for (name, rate), run in dynamic.items()}
        times = in_turns(runs, options.seconds, device)
        static = {name: statistics.median(times[name]) for name in kinds if name in times}
        rest = {name: statistics.median(times[name]) for name in others if name in times}
        own = statistics.median(times["dense"])
        for workload in workloads:
            every = statistics.median(times.get(f"{workload.name} dense", times["dense"]))
            of_workload = [
                row(run.ratios(tables[name]), times[f"{name} {rate}"], static, every, rest)
                | {"rate": rate, "workload": name, "model": workload.model, "batch": batch}
                | {"own_static_s": own}
                | {"agreement": agreements.get((name, rate))}
                for (name, rate), run in dynamic.items()
                if name == workload.name
            ]
            Console(width=130).print(shown(of_workload))
            rows += of_workload
    return rows


Kinds = dict[str, Callable[[nn.Module, Tensor], Callable[[], object]]]


def static_kinds(options: Options) -> tuple[Kinds, Kinds]:
    """Static engines of the precision that is measured, and the others."""
    if options.device == "cuda":
        return static_engines.GPU, {}
    if options.precision == "bf16":
        return static_engines.BF16, static_engines.FAST
    return static_engines.CPU, {"openvino-default": static_engines.BF16["openvino-default"]}


def row(
    ratios: list[float],
    times: list[float],
    static: dict[str, float],
    dense: float,
    others: dict[str, float],
) -> dict[str, object]:
    """Figures of one workload at one batch size and rate, from its runs; times in seconds.

    ``static`` engines have the same precision, the ``others`` not.
    """
    best = min(static, key=lambda name: static[name])
    all_static = static | others
    fastest = min(all_static, key=lambda name: all_static[name])
    per_second = [ratio / seconds for ratio, seconds in zip(ratios, times, strict=True)]
    return {
        "over_fastest": statistics.median(times) / all_static[fastest],
        "fastest_static": fastest,
        "macs_ratio": statistics.mean(ratios),
        "efficiency": static[best] * statistics.median(per_second),
        "over_dense": statistics.median(times) / dense,
        "over_static": statistics.median(times) / static[best],
        "p50_s": statistics.median(times),
        "p95_s": percentile(times, 0.95),
        "dense_s": dense,
        "best_static": best,
        "static_s": all_static,
        "runs": len(times),
    }


def shown(rows: list[dict[str, object]]) -> Table:
    """The rows of one workload and batch size."""
    first = rows[0]
    static = ", ".join(f"{name} {1000 * t:.2f}" for name, t in first["static_s"].items())  # type: ignore[attr-defined]
    table = Table(
        title=f"{first['workload']}: {first['model']}, batch {first['batch']}; static in ms: "
        f"{static}; ours {1000 * float(first['own_static_s']):.2f}, "  # type: ignore[arg-type]
        f"without routers {1000 * float(first['dense_s']):.2f}"  # type: ignore[arg-type]
    )
    columns = ("of fastest", "rate", "MACs ratio", "p50 ms", "p95 ms", "of static", "of dense")
    for column in (*columns, "efficiency"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['over_fastest']:.3f}",
            f"{row['rate']}",
            f"{row['macs_ratio']:.3f}",
            f"{1000 * float(row['p50_s']):.2f}",  # type: ignore[arg-type]
            f"{1000 * float(row['p95_s']):.2f}",  # type: ignore[arg-type]
            f"{row['over_static']:.3f}",
            f"{row['over_dense']:.3f}",
            f"{row['efficiency']:.3f}",
        )
    return table


def main(options: Options) -> None:
    """Measure, print, write the JSON."""
    in_bf16 = options.device == "cpu" and options.precision == "bf16"
    chosen = [
        workload
        for workload in WORKLOADS
        if workload.name in options.only or (not options.only and (workload.in_bf16 or not in_bf16))
    ]
    if options.quick:
        options = replace(
            options, seconds=0.25, batches=(1, 8), engines=("eager", "onnxruntime", "openvino-bf16")
        )
        chosen = [w for w in chosen if w.name in ("blocks", "channels-18")]
    rows = []
    for static in dict.fromkeys(workload.static for workload in chosen):
        rows += measure([w for w in chosen if w.static == static], options)
    packages = ("onnxruntime", "openvino")
    kind = "-bf16" if in_bf16 else ""
    record(f"engine-{options.device}{kind}", rows, {name: installed(name) for name in packages})


def installed(package: str) -> str | None:
    """Its version, if it is there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(tyro.cli(Options))
