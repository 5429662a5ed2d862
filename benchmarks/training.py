"""What one optimiser step of every method costs, against its static backbone, in one run.

``python benchmarks/training.py [--steps 12] [--only resnet110] [--device cuda]`` prints step-time
and peak-memory ratios and writes JSON to ``benchmarks/results/``. Every method trains the network
and the objective of its recipes on random images; steps of all methods alternate, so that what else
the machine does falls on all of them. A step is forward, backward, optimiser and ``after_step``.
``benchmarks/gpu.py`` does the same on a GPU, one method after the other.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from record import record
from torch.profiler import ProfilerActivity, profile

import dyncore
from dyncore.backbones import backbone_config
from dyncore.data import Batch, Preprocessing
from dyncore.kernels import install_kernels
from dyncore.network import DynamicNetwork
from dyncore.objectives import Objective
from dyncore.recipes import Recipe, find_recipe
from dyncore.training import TrainingStep, keep_freed_memory

Step = Callable[[], None]
Row = dict[str, float | str]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One backbone at one input size, and the recipes that train it."""

    backbone: str
    size: int
    """Height and width of the images."""
    classes: int
    cpu_batch: int
    """Images per step on a CPU."""
    gpu_batch: int
    """Images per step on a GPU: the papers' batch."""
    recipes: dict[str, str]
    """Recipe by method. Its backbone is replaced where its paper trains another one."""


WORKLOADS = (
    Workload(
        backbone="resnet110-cifar",
        size=32,
        classes=10,
        cpu_batch=256,
        gpu_batch=256,
        recipes={
            "static": "static-resnet110-cifar10",
            "vanilla": "vanilla-resnet110-cifar10-b0.6",
            "rdinet": "rdinet-resnet110-cifar10-b0.6",
            "cdb": "cdb-resnet110-n2-cifar10-b0.6",
            "dmnn": "dmnn-resnet110-n2-cifar10-b0.6",
            "spnet": "spnet-resnet110-cifar10-b0.6",
            "lcnet": "lcnet-resnet18-cifar10",
        },
    ),
    Workload(
        backbone="resnet50",
        size=224,
        classes=1000,
        cpu_batch=4,
        gpu_batch=256,
        recipes={
            "static": "static-resnet50-imagenet",
            "vanilla": "vanilla-resnet50-imagenet-b0.6",
            "rdinet": "rdinet-resnet50-imagenet-b0.6",
            "cdb": "cdb-resnet50-n2-imagenet-b0.6",
            "dmnn": "dmnn-resnet50-n2-imagenet-b0.6",
            "spnet": "spnet-resnet50-imagenet-b0.6",
            "lcnet": "lcnet-resnet50-imagenet",
        },
    ),
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure training steps against the static backbone's."""

    steps: int = 8
    """Measured steps of each method; one more warms up."""
    only: str = ""
    """Measure only workloads whose backbone begins so."""
    methods: tuple[str, ...] = ()
    """Measure only these beside static; none: all."""
    batch: int | None = None
    """Images per step; default: the workload's for the device."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to train."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: forward passes in autocast."""
    channels_last: bool = False
    """Channels-last memory format."""
    compile: bool = False
    """Compile every network."""
    kernels: bool = True
    """Train blocks in fused forms, as training does."""


def build(recipe: Recipe, workload: Workload, batch: int, options: Options) -> Step:
    """One training step of the recipe on the workload's backbone, as a function."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    network = replace(
        recipe.network,
        backbone=backbone_config(workload.backbone),
        num_classes=workload.classes,
    )
    model = DynamicNetwork(network)
    table = dyncore.cost_table(model, (3, workload.size, workload.size))
    parts = {name: part.build(model, table) for name, part in recipe.objective.items()}
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=workload.size)
    module = TrainingStep(model, Objective(parts), table, preprocessing).to(device).train()
    if options.channels_last:
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.compile:
        model.compile()
    if options.kernels:
        install_kernels(module)
    optimizer = torch.optim.SGD(
        module.learnable, lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True
    )
    images = torch.rand(batch, 3, workload.size, workload.size, device=device)
    labels = torch.randint(workload.classes, (batch,), device=device)
    index = torch.arange(batch, device=device)

    def step() -> None:
        noise = model.draw_noise(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            result = module(Batch(images, labels, index), noise, None, None)
        result.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        module.objective.after_step(model)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def peak_bytes(step: Step, device: str) -> int:
    """Most memory that a step holds beyond what was held before it."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        step()
    results = trace.profiler.kineto_results  # type: ignore[union-attr]
    changes = [e for e in results.events() if e.name() == "[memory]"]
    held = peak = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        peak = max(peak, held)
    return peak


def measure(workload: Workload, options: Options) -> list[Row]:
    """One row per method; the first is static."""
    usual = workload.gpu_batch if options.device == "cuda" else workload.cpu_batch
    batch = options.batch or usual
    chosen = {
        method: build(find_recipe(name), workload, batch, options)
        for method, name in workload.recipes.items()
        if method == "static" or not options.methods or method in options.methods
    }
    return compared(chosen, workload, batch, options)


def compared(
    chosen: Mapping[str, Step], workload: Workload, batch: int, options: Options
) -> list[Row]:
    """One row per method; one of them is static."""
    seconds: dict[str, list[float]] = {method: [] for method in chosen}
    for turn in range(options.steps + 1):
        for method, step in chosen.items():
            start = time.perf_counter()
            step()
            if turn:
                seconds[method].append(time.perf_counter() - start)
    memory = {method: peak_bytes(step, options.device) for method, step in chosen.items()}
    times = {method: statistics.median(taken) for method, taken in seconds.items()}
    return [
        {
            "backbone": workload.backbone,
            "batch": batch,
            "method": method,
            "recipe": workload.recipes[method],
            "step_s": times[method],
            "peak_mib": memory[method] / 2**20,
            "time_ratio": times[method] / times["static"],
            "memory_ratio": memory[method] / memory["static"],
        }
        for method in chosen
    ]


def main(options: Options) -> None:
    """Measure every workload, print the table, write the JSON."""
    if options.device == "cpu":
        keep_freed_memory()  # as training does
    from rich.console import Console
    from rich.table import Table

    workloads = [w for w in WORKLOADS if w.backbone.startswith(options.only)]
    rows = [row for workload in workloads for row in measure(workload, options)]
    shown = Table(title="one optimiser step over the static backbone's")
    for column in ("backbone", "batch", "method", "seconds", "time", "MiB", "memory"):
        shown.add_column(
            column, justify="right" if column not in ("backbone", "method") else "left"
        )
    for row in rows:
        shown.add_row(
            str(row["backbone"]),
            str(row["batch"]),
            str(row["method"]),
            f"{row['step_s']:.3f}",
            f"{row['time_ratio']:.3f}",
            f"{row['peak_mib']:.0f}",
            f"{row['memory_ratio']:.3f}",
        )
    Console(width=110).print(shown)
    record(f"training-{options.device}", rows)


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Options))
