"""Three small networks on handwritten digits: train, compare, save, reload. Minutes, no network.

Run by ``nox -s quickstart``, or ``python benchmarks/quickstart.py [--epochs 30] [--output DIR]``.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import median_seconds
from torch import Tensor

import dyncore
from dyncore.data import Loader, load_dataset
from dyncore.recipes import find_recipe
from dyncore.training import RunOptions, TrainingResult, train

RECIPES = (
    "static-resnet20-digits",
    "vanilla-resnet20-digits-b0.6",
    "rdinet-resnet20-digits-b0.6",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train static, vanilla and rdinet on digits and compare them."""

    epochs: float = 30
    """Epochs of each of the three trainings."""
    output: str = "runs"
    """The results go into a new folder in here."""
    seed: int = 0
    """Of everything random."""


@dataclass(frozen=True)
class Row:
    """What the table says of one model."""

    result: TrainingResult
    masked: float
    """Median seconds of ``model(image)`` at batch 1."""
    skipped: float
    """Median seconds of ``dyncore.run_skipped`` at batch 1."""


def test_images(count: int) -> Tensor:
    """The first normalised test images."""
    dataset = load_dataset("digits")
    assert dataset.test is not None
    loader = Loader(
        dataset.test,
        batch_size=count,
        preprocessing=dataset.preprocessing,
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        device="cpu",
    )
    return dataset.preprocessing.normalize(next(loader.epoch(0)).images)


@torch.no_grad()
def measure(result: TrainingResult, images: Tensor) -> Row:
    """Latencies over the given images, one at a time."""
    model = dyncore.from_pretrained(result.model)
    one_by_one = list(images.split(1))
    masked = median_seconds("for x in xs: model(x)", 0.5, xs=one_by_one, model=model)
    skipped = median_seconds(
        "for x in xs: run(model, x)", 0.5, xs=one_by_one, model=model, run=dyncore.run_skipped
    )
    return Row(result, masked / len(one_by_one), skipped / len(one_by_one))


@torch.no_grad()
def reloads_bit_equal(folder: Path, copy: Path, images: Tensor) -> bool:
    """Load, save elsewhere, load again: are the logits equal to the last bit?"""
    model = dyncore.from_pretrained(folder)
    model.save_pretrained(copy)
    return torch.equal(model(images).logits, dyncore.from_pretrained(copy)(images).logits)


def table(rows: list[Row]) -> Table:
    """One row per model."""
    shown = Table(title="digits, 8×8 test images; MACs include the routers (1 MAC = 2 FLOPs)")
    for column in (
        "model",
        "accuracy",
        "mean MACs",
        "MACs ratio",
        "masked ms",
        "skipped ms",
        "execution rate of each block",
    ):
        shown.add_column(column, justify="left" if column == "model" else "right")
    for row in rows:
        evaluation = row.result.evaluation
        shown.add_row(
            row.result.folder.name,
            f"{evaluation.accuracy:.3f}",
            f"{evaluation.mean_macs:,.0f}",
            f"{evaluation.macs_ratio:.3f}",
            f"{1000 * row.masked:.2f}",
            f"{1000 * row.skipped:.2f}",
            " ".join(f"{rate:.2f}" for rate in evaluation.block_rates),
        )
    return shown


def main(options: Options) -> None:
    """Train, measure, save, reload, and say what to try next."""
    logging.basicConfig(level=logging.WARNING)
    start = time.perf_counter()
    folder = Path(options.output) / time.strftime("quickstart-%Y%m%d-%H%M%S")
    run = RunOptions(
        output=str(folder), epochs=options.epochs, seed=options.seed, evaluate_every=10
    )
    results = [train(find_recipe(name), run) for name in RECIPES]
    images = test_images(32)
    console = Console(width=140)
    console.print(table([measure(result, images) for result in results]))
    console.print(
        "masked: every block runs and is multiplied by its decision; skipped: only what an image "
        "chose runs.\nBoth are plain eager PyTorch at batch 1, where 8×8 images leave little to "
        "save; dyncore.Engine is the fast way, at any batch size."
    )
    last = results[-1]
    equal = reloads_bit_equal(last.model, folder / "reloaded", images)
    console.print(f"saved, reloaded, compared: the outputs are {'' if equal else 'NOT '}bit-equal")
    console.print(
        f"\nTook {time.perf_counter() - start:.0f} s. Everything is in {folder}: per run a model "
        "to load, an evaluation.parquet with one row per image, and metrics.jsonl.\n"
        "Next:\n"
        f'  python -c "import dyncore; print(dyncore.cost_table(dyncore.from_pretrained('
        f"'{last.model}'), (3, 8, 8)))\"\n"
        "  dyn list recipes rdinet                     every set-up of the paper, by name\n"
        "  dyn train rdinet-resnet20-cifar10-b0.6-short    CIFAR-10 (the Hub's, or --data FOLDER)\n"
        "  CONTRIBUTING.md                             how to add a method of your own"
    )
    if not equal:
        raise SystemExit("the reloaded model gives other outputs")


if __name__ == "__main__":
    main(tyro.cli(Options))
