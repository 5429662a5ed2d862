"""How true the budget dial is, for every method, and what training for many budgets buys.

``python benchmarks/dial.py [--epochs 30] [--seeds 1]`` trains each recipe on the bundled digits,
calibrates the dial on half of the images that it was not trained on, turns it to each budget, and
counts MACs and right answers on the other half; it writes ``benchmarks/results/dial.json``. With
``--compare`` it does so for one method trained for one budget and for many, over ``--seeds``, and
writes ``dial-curve.json``. Four of nine digits train: costs are told apart by held-out images.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from record import record
from sklearn.datasets import load_digits

import dyncore
from dyncore.calibration import curve
from dyncore.data import Loader, Part, load_dataset
from dyncore.recipes import find_recipe
from dyncore.training import RunOptions, train

METHODS = (
    "vanilla-resnet20-digits-b0.6",
    "rdinet-resnet20-digits-b0.6",
    "spnet-resnet20-digits-b0.6",
    "cdb-resnet20-n2-digits-b0.6",
    "dmnn-resnet20-n2-digits-b0.6",
    "lcnet-resnet20-digits-b0.6",
)
"""Of which the dial's error is measured."""
TRAINED = (
    "vanilla-resnet20-digits-b0.6",
    "vanilla-resnet20-digits-b0.6+budgets",
    "vanilla-resnet20-digits-b0.6+budgets+told",
)
"""Whose curves are compared."""
BUDGETS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the static network's MACs."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure dials on digits."""

    epochs: float = 30
    """Epochs of each training."""
    seeds: int = 1
    """Runs of each recipe."""
    compare: bool = False
    """Compare training for one budget and for many, instead of methods."""
    batch_size: int = 64
    """Images per step: few images train."""


def write_digits(folder: Path) -> None:
    """Images by class, four of nine to train on."""
    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = "train" if index % 9 < 4 else "test"
        target = folder / split / str(label) / f"{index:04}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(target)


def measure(name: str, seed: int, options: Options, data: Path, output: Path) -> dict[str, object]:
    """Train, calibrate, and turn the dial on other images."""
    recipe = replace(find_recipe(name), batch_size=options.batch_size)
    run = RunOptions(
        data=str(data),
        epochs=options.epochs,
        output=str(output / str(seed)),
        seed=seed,
        workers=0,
        evaluate_every=10_000,  # at the end alone
    )
    model = dyncore.from_pretrained(train(recipe, run).model)
    test = load_dataset(str(data)).test
    assert test is not None
    seen = model.info.preprocessing
    assert seen is not None
    halves = [
        Loader(
            Part(test, range(start, len(test), 2)),
            batch_size=500,
            preprocessing=seen,
            device="cpu",
        )
        for start in range(2)
    ]
    dial = dyncore.calibrate(model, halves[0])
    within = [b for b in BUDGETS if b * dial.static_cost >= dial.settings[0].cost]
    points = curve(model, halves[1], within)
    as_trained = next(s for s in dial.settings if s.threshold == 0)
    row: dict[str, object] = {
        "recipe": name,
        "seed": seed,
        "epochs": options.epochs,
        "images": dial.images,
        "tolerance": dial.tolerance,
        "as_trained": {
            "ratio": as_trained.cost / dial.static_cost,
            "accuracy": as_trained.accuracy,
        },
        "least": dial.settings[0].cost / dial.static_cost,
        "points": [
            {"budget": p.budget, "ratio": p.ratio, "error": p.error, "accuracy": p.accuracy}
            for p in points
        ],
    }
    worst = max(abs(p.error) for p in points)
    accuracies = " ".join(f"{p.accuracy:.4f}" for p in points)
    print(f"{name} seed {seed}: worst error {worst:.2%}; {accuracies}", flush=True)
    return row


def main(options: Options) -> None:
    """All runs; the JSON has those that ended."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "digits"
        write_digits(data)
        rows = []
        for seed in range(options.seeds):
            for name in TRAINED if options.compare else METHODS:
                rows.append(measure(name, seed, options, data, Path(folder) / "runs"))
                record("dial-curve" if options.compare else "dial", rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
