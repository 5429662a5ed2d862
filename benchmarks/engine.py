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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import static_engines
import torch
from engine_turns import Dynamic, in_turns, percentile, replayed
from engine_workloads import CALIBRATION, WORKLOADS, Workload, calibrated
from record import record
from torch import Tensor, nn

import dyncore
from dyncore.network import DynamicNetwork

if TYPE_CHECKING:
    from dyncore.training import Evaluation

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


class Subjects:
    """Engines of dynamic networks of one static backbone, and what that could run in instead."""

    def __init__(self, backbone: Workload, options: Options) -> None:
        """For networks of the backbone, and of the images' size, of this one."""
        self.options = options
        self.device = torch.device(options.device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.size = size = backbone.size
        where = {"device": self.device, "dtype": self.dtype}
        self.static = dyncore.create_model(backbone.static).eval().to(**where)
        self.example = torch.randn(1, 3, size, size, **where)
        self.dense = self.engine(self.static)
        self.drawn = torch.randn(CALIBRATION, 3, size, size, device=self.device)
        self.workloads: list[Workload] = []
        self.engines: dict[tuple[str, float], dyncore.Engine] = {}
        self.agreements: dict[tuple[str, float], dict[str, object]] = {}
        self.tables: dict[str, dyncore.CostTable] = {}
        self.whole: dict[str, dyncore.Engine] = {}
        """Of blocks of several paths, all on, without routers."""
        self.traces: dict[tuple[str, str], tuple[dyncore.Engine, Evaluation, tuple[int, ...]]] = {}

    def engine(self, model: DynamicNetwork) -> dyncore.Engine:
        """In the precision that is measured."""
        precision = self.options.precision if self.device.type == "cpu" else None
        return dyncore.Engine(model, self.example, precision=precision)

    def add(self, workload: Workload, evaluations: "Mapping[str, Evaluation]") -> None:
        """Build the workload's engines, and compare them with their models."""
        engines, agreements = {}, {}
        for rate in workload.rates:
            model = calibrated(workload, rate, self.drawn).to(self.dtype)
            engine = engines[workload.name, rate] = self.engine(model)
            agreement = engine.compare(self.drawn[:COMPARED].to(self.dtype))
            agreements[workload.name, rate] = asdict(agreement)
            print(f"{workload.name}, rate {rate}: {agreement}")
        if max(model.paths_per_block) > 1:
            config = replace(model.config, router=None, gate=None)
            undecided = DynamicNetwork(config).eval().to(self.device, self.dtype)
            self.whole[workload.name] = self.engine(undecided)
        for name, evaluation in evaluations.items():
            if np.bincount(evaluation.blocks).tolist() == list(model.paths_per_block):
                self.traces[workload.name, name] = engine, evaluation, model.paths_per_block
        self.tables[workload.name] = dyncore.cost_table(model, (3, self.size, self.size))
        self.engines |= engines
        self.agreements |= agreements
        self.workloads.append(workload)

    def measure(self, batch: int) -> list[dict[str, object]]:
        """One row per workload and rate, or trace, at a batch size; all of them take turns."""
        shape, count = (batch, *self.example.shape[1:]), -(-16 // batch)
        many = [torch.randn(shape, device=self.device, dtype=self.dtype) for _ in range(count)]
        images = many[0]
        runs: dict[str, Callable[[], object]] = {"dense": partial(self.dense, images)}
        runs |= {f"{name} dense": partial(engine, images) for name, engine in self.whole.items()}
        kinds, others = static_kinds(self.options)
        for name, build in (kinds | others).items():
            if not self.options.engines or name in self.options.engines:
                try:
                    runs[name] = build(self.static.backbone, images)
                except ImportError as missing:
                    print(f"without {name}: {missing}")
        dynamic = self._dynamic(many)
        runs |= {f"{name} {rate}": run for (name, rate), run in dynamic.items()}
        times = in_turns(runs, self.options.seconds, self.device)
        static = {name: statistics.median(times[name]) for name in kinds if name in times}
        rest = {name: statistics.median(times[name]) for name in others if name in times}
        own = statistics.median(times["dense"])
        rows = []
        for workload in self.workloads:
            every = statistics.median(times.get(f"{workload.name} dense", times["dense"]))
            rows += [
                row(run.ratios(self.tables[name]), times[f"{name} {rate}"], static, every, rest)
                | {"rate": rate, "workload": name, "model": workload.model, "batch": batch}
                | {"own_static_s": own}
                | {"agreement": self.agreements.get((name, rate))}
                for (name, rate), run in dynamic.items()
                if name == workload.name
            ]
        return rows

    def _dynamic(self, many: Sequence[Tensor]) -> dict[tuple[str, float | str], Dynamic]:
        """What is measured, by workload and rate, or where its decisions come from."""
        dynamic: dict[tuple[str, float | str], Dynamic] = {
            key: Dynamic(engine, many) for key, engine in self.engines.items()
        }
        for workload in self.workloads:
            apart = workload.routers_apart and self.options.precision != "bf16"
            for rate in workload.rates if apart else ():
                engine = self.engines[workload.name, rate]
                own_paths = [engine(images).path for images in many]
                dynamic[workload.name, f"{rate}, no routers"] = Dynamic(engine, many, own_paths)
        for key, (engine, evaluation, paths_per_block) in self.traces.items():
            paths = replayed(evaluation, paths_per_block, len(many[0]), len(many))
            dynamic[key] = Dynamic(engine, many, paths)
        return dynamic


def measure(workloads: list[Workload], options: Options) -> list[dict[str, object]]:
    """One row per workload, batch size and rate; all workloads have one static backbone."""
    evaluations = {}
    if options.traces:
        from dyncore.training import Evaluation

        evaluations = {
            "/".join(Path(file).parent.parts[-2:]): Evaluation.load(file) for file in options.traces
        }
    subjects = Subjects(workloads[0], options)
    for workload in workloads:
        subjects.add(workload, evaluations)
    rows = []
    for batch in options.batches or sorted({b for w in workloads for b in w.batches}):
        measured = subjects.measure(batch)
        show(measured)
        rows += measured
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


def show(rows: list[dict[str, object]]) -> None:
    """Print a table per workload of one batch size."""
    from rich.console import Console
    from rich.table import Table

    for _, group in itertools.groupby(rows, lambda row: row["workload"]):
        of_workload = list(group)
        first = of_workload[0]
        static = ", ".join(f"{name} {1000 * t:.2f}" for name, t in first["static_s"].items())  # type: ignore[attr-defined]
        table = Table(
            title=f"{first['workload']}: {first['model']}, batch {first['batch']}; static in ms: "
            f"{static}; ours {1000 * float(first['own_static_s']):.2f}, "  # type: ignore[arg-type]
            f"without routers {1000 * float(first['dense_s']):.2f}"  # type: ignore[arg-type]
        )
        columns = ("of fastest", "rate", "MACs ratio", "p50 ms", "p95 ms", "of static", "of dense")
        for column in (*columns, "efficiency"):
            table.add_column(column, justify="right")
        for row in of_workload:
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
        Console(width=130).print(table)


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
    import tyro

    main(tyro.cli(Options))
