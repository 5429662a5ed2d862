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
from dyncore.data import Dataset, load_dataset
from dyncore.recipes import find_recipe
from dyncore.report import Subject, read_subjects, timed, write_report
from dyncore.training import RunOptions, train

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


def test_images(dataset: Dataset, count: int) -> Tensor:
    """The first normalised test images."""
    assert dataset.test is not None
    pixels = dataset.test.look(range(count), dataset.preprocessing)
    return dataset.preprocessing.normalize(pixels.float() / 255)


@torch.no_grad()
def eager_milliseconds(subject: Subject, images: Tensor) -> float:
    """Of ``model(image)``, the plain form that runs every block, one image after the other."""
    model = dyncore.from_pretrained(subject.model or "")
    one_by_one = list(images.split(1))
    seconds = median_seconds("for x in xs: model(x)", 0.5, xs=one_by_one, model=model)
    return 1000 * seconds / len(one_by_one)


@torch.no_grad()
def reloads_bit_equal(folder: Path, copy: Path, images: Tensor) -> bool:
    """Load, save elsewhere, load again: are the logits equal to the last bit?"""
    model = dyncore.from_pretrained(folder)
    model.save_pretrained(copy)
    return torch.equal(model(images).logits, dyncore.from_pretrained(copy)(images).logits)


def table(subjects: list[Subject], eager: list[float]) -> Table:
    """One row per model."""
    shown = Table(title="digits, 8×8 test images; MACs include the routers (1 MAC = 2 FLOPs)")
    for column in (
        "model",
        "accuracy",
        "mean MACs",
        "MACs ratio",
        "eager ms",
        "engine ms",
        "execution rate of each block",
    ):
        shown.add_column(column, justify="left" if column == "model" else "right")
    for subject, milliseconds in zip(subjects, eager, strict=True):
        evaluation = subject.evaluation
        shown.add_row(
            subject.name,
            f"{evaluation.accuracy:.3f}",
            f"{evaluation.mean_macs:,.0f}",
            f"{evaluation.macs_ratio:.3f}",
            f"{milliseconds:.2f}",
            f"{subject.milliseconds:.3f}",
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
    dataset = load_dataset("digits")
    images = test_images(dataset, 32)
    subjects = timed(read_subjects([result.folder for result in results]), dataset)
    console = Console(width=140)
    console.print(table(subjects, [eager_milliseconds(subject, images) for subject in subjects]))
    console.print(
        "eager: model(image) in plain PyTorch, every block runs. engine: dyncore.Engine, which "
        "runs what the image chose;\nof the static network it runs everything. Batch 1, "
        f"{torch.get_num_threads()} threads; 8×8 images are small: docs/engine.md has real ones."
    )
    last = results[-1]
    equal = reloads_bit_equal(last.model, folder / "reloaded", images)
    console.print(f"saved, reloaded, compared: the outputs are {'' if equal else 'NOT '}bit-equal")
    page = write_report(subjects, folder / "report", dataset=dataset)
    figure = page.parent / "figures" / "accuracy-milliseconds.png"
    console.print(f"figure: {figure}\nall figures: {page}", soft_wrap=True)
    console.print(
        f"\nTook {time.perf_counter() - start:.0f} s. Everything is in {folder}: per run a model "
        "to load, an evaluation.parquet with one row per image, metrics.jsonl and its curves.\n"
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
