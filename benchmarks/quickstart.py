"""Three small networks on handwritten digits: train, compare, save, reload. Minutes, no network.

Run by ``nox -s quickstart``, or ``python benchmarks/quickstart.py [--epochs 30] [--output DIR]``.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import static_engines
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


STATIC = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "eager": "eager PyTorch"}
"""Engines of ``static_engines.py``, and what people call them."""


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
def static_milliseconds(folder: Path, image: Tensor) -> dict[str, float]:
    """Of the static network, one image at a time, in eager PyTorch and the engines installed.

    ``torch.compile`` is left out: it would compile for longer than this tour takes.
    """
    backbone = dyncore.from_pretrained(folder).backbone
    found = {}
    for name, what in STATIC.items():
        try:
            run = static_engines.CPU[name](backbone, image)
        except ImportError:
            continue
        found[what] = 1000 * median_seconds("run()", 0.3, run=run)
    return found


@torch.no_grad()
def reloads_bit_equal(folder: Path, copy: Path, images: Tensor) -> bool:
    """Load, save elsewhere, load again: are the logits equal to the last bit?"""
    model = dyncore.from_pretrained(folder)
    model.save_pretrained(copy)
    return torch.equal(model(images).logits, dyncore.from_pretrained(copy)(images).logits)


def table(subjects: list[Subject], best: float) -> Table:
    """One row per model; ``best`` is the static network's least time in milliseconds."""
    shown = Table(title="digits, 8×8 test images; MACs include the routers (1 MAC = 2 FLOPs)")
    for column in (
        "model",
        "accuracy",
        "mean MACs",
        "MACs ratio",
        "best static ms",
        "engine ms",
        "of it",
        "execution rate of each block",
    ):
        shown.add_column(column, justify="left" if column == "model" else "right")
    for subject in subjects:
        evaluation, taken = subject.evaluation, subject.milliseconds or 0.0
        shown.add_row(
            subject.name,
            f"{evaluation.accuracy:.3f}",
            f"{evaluation.mean_macs:,.0f}",
            f"{evaluation.macs_ratio:.3f}",
            f"{best:.3f}",
            f"{taken:.3f}",
            f"{taken / best:.2f}",
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
    static = static_milliseconds(results[0].model, images[:1])
    static["dyncore.Engine"] = subjects[0].milliseconds or 0.0
    console = Console(width=150)
    console.print(table(subjects, min(static.values())))
    console.print(
        "engine: dyncore.Engine, which runs what the image chose. The static network takes "
        + ", ".join(f"{taken:.3f} ms in {name}" for name, taken in static.items())
        + f".\nOne image at a time, {torch.get_num_threads()} threads; 8×8 images are small: "
        "docs/engine.md has real ones."
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
