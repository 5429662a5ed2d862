"""How long masked and skipped inference take, against the static backbone, in one run.

``python benchmarks/latency.py [--models NAME ...] [--size 224] [--batches 1 8] [--rates 0.3 ...]``
prints ratios and writes JSON to ``benchmarks/results/``. Decisions are random and forced, so no
training is needed; routers therefore do not run, and their MACs are left out of the MACs ratio.
"""

from dataclasses import dataclass

import torch
import tyro
from record import record
from rich.console import Console
from rich.table import Table
from timing import median_seconds

import dyncore


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure masked and skipped inference with random decisions."""

    models: tuple[str, ...] = ("vanilla-resnet50", "vanilla-resnet110-cifar")
    """Names for ``dyncore.create_model``."""
    batches: tuple[int, ...] = (1, 8)
    """Batch sizes."""
    rates: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0)
    """Probability of each path to be on."""
    seconds: float = 2.0
    """Measuring time per figure."""


@torch.no_grad()
def measure(name: str, batch: int, options: Options) -> list[dict[str, float | str]]:
    """One row per rate; times are medians in seconds for the whole batch."""
    model = dyncore.create_model(name).eval().to(memory_format=torch.channels_last)
    size = 32 if "-cifar" in name else 224
    static = dyncore.create_model(f"static-{name.partition('-')[2]}").eval()
    static = static.to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    table = dyncore.cost_table(model, (3, size, size))
    routers = sum(block.router for block in table.blocks)
    reference = median_seconds("model(x)", options.seconds, model=static, x=images)
    rows: list[dict[str, float | str]] = []
    for rate in options.rates:
        generator = torch.Generator().manual_seed(0)
        on = torch.rand(batch, sum(model.paths_per_block), generator=generator) < rate
        path = dyncore.ExecutionPath.of(on, model.paths_per_block)
        names = {"model": model, "x": images, "path": path, "run": dyncore.run_skipped}
        masked = median_seconds("model(x, path=path)", options.seconds, **names)
        skipped = median_seconds("run(model, x, path=path)", options.seconds, **names)
        ratio = table.ratio(float(table.macs(path).double().mean()) - routers)
        rows.append(
            {
                "model": name,
                "batch": batch,
                "rate": rate,
                "macs_ratio": ratio,
                "static_s": reference,
                "masked_s": masked,
                "skipped_s": skipped,
                "masked_over_static": masked / reference,
                "skipped_over_static": skipped / reference,
                "skipped_efficiency": reference * ratio / skipped,
            }
        )
    return rows


def main(options: Options) -> None:
    """Measure every model at every batch size, print the table, write the JSON."""
    rows = [
        row
        for name in options.models
        for batch in options.batches
        for row in measure(name, batch, options)
    ]
    shown = Table(title="time over the eager static backbone's (channels-last, forced decisions)")
    for column in ("model", "batch", "rate", "MACs ratio", "masked", "skipped", "efficiency"):
        shown.add_column(column, justify="left" if column == "model" else "right")
    for row in rows:
        keys = ("macs_ratio", "masked_over_static", "skipped_over_static", "skipped_efficiency")
        figures = [f"{row[key]:.3f}" for key in keys]
        shown.add_row(str(row["model"]), str(row["batch"]), str(row["rate"]), *figures)
    Console(width=110).print(shown)
    record("latency", rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
