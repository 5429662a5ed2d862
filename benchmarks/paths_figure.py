"""Draws which blocks run for which digit: the README's figure of execution paths.

``python benchmarks/paths_figure.py`` trains RDI-Net's ResNet-20 on the bundled digits (minutes, no
download), writes what it decides about the test images to ``results/paths.json``, and draws
``docs/figures/paths-light.svg`` and ``paths-dark.svg`` from that; ``--draw`` only draws. Each says
in its description what it was drawn from, by which ``tests/test_models.py`` sees that it is
current.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import tyro
from cascade_figure import FIGURES, LOOKS, Look, description
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from page_markdown import RESULTS, Row, read
from record import record

from dyncore.data import load_dataset
from dyncore.recipes import find_recipe
from dyncore.training import Evaluation, RunOptions, train

RECIPE = "rdinet-resnet20-digits-b0.6"
NAME = "paths"
SHOWN = 3
"""Images of a digit: the cheapest, one in the middle, the dearest, of those answered rightly."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train, and draw which blocks run for which digit."""

    epochs: float = 30
    """Epochs of the training."""
    draw: bool = False
    """Draw what was measured before, and train nothing."""


def measure(epochs: float) -> None:
    """Train, and write down what is decided."""
    with tempfile.TemporaryDirectory() as folder:
        options = RunOptions(output=folder, epochs=epochs, evaluate_every=10)
        evaluation = train(find_recipe(RECIPE), options).evaluation
    record(NAME, [row(evaluation, digit) for digit in range(10)])


def row(evaluation: Evaluation, digit: int) -> Row:
    """One digit: its rates, and some of its images with what ran for them."""
    of_digit = np.flatnonzero(evaluation.label == digit)
    right = of_digit[evaluation.prediction[of_digit] == digit]
    by_cost = right[np.argsort(evaluation.macs[right], kind="stable")]
    places = np.linspace(0, len(by_cost) - 1, SHOWN).round().astype(int)
    split = load_dataset("digits").test
    assert split is not None
    return {
        "recipe": RECIPE,
        "digit": digit,
        "accuracy": evaluation.accuracy,
        "macs_ratio": evaluation.macs_ratio,
        "rates": [round(float(rate), 4) for rate in evaluation.path[of_digit].mean(0)],
        "images": [
            {
                "row": int(image),
                "macs_ratio": float(evaluation.macs[image] / evaluation.static_macs),
                "on": "".join(str(int(on)) for on in evaluation.path[image]),
                "pixels": split.images[image, 0].numpy().tobytes().hex(),
            }
            for image in by_cost[places]
        ],
    }


def draw(rows: list[Row], look: Look) -> Figure:
    """Left images and their paths, right how often each block runs for each digit."""
    figure = Figure(figsize=(10.5, 3.9), layout="constrained")
    *paths, rates = figure.subplots(1, SHOWN + 1, width_ratios=[1, 1, 1, 1.25])
    for place, axes in enumerate(paths):
        _paths(axes, [row["images"][place] for row in rows], look)
        axes.set_title(
            ("cheapest of its digit", "in between", "dearest of its digit")[place], fontsize=9
        )
        axes.title.set_color(look.ink)
    _rates(rates, rows, look)
    return figure


def _paths(axes: Axes, images: list[Row], look: Look) -> None:
    """An image and its blocks in a line; what is skipped is hollow."""
    colour = look.pairs[1]
    for line, image in enumerate(images):
        pixels = 1 - np.frombuffer(bytes.fromhex(image["pixels"]), np.uint8).reshape(8, 8) / 255
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=(0, 0.86, line + 0.86, line))
        for block, on in enumerate(image["on"]):
            face, edge = (colour, colour) if on == "1" else ("none", look.faint)
            corner = (1.2 + 0.62 * block, line + 0.2)
            axes.add_patch(Rectangle(corner, 0.46, 0.46, facecolor=face, edgecolor=edge))
        end = 1.3 + 0.62 * len(image["on"])
        share = f"{100 * image['macs_ratio']:.0f} %"
        axes.text(end, line + 0.45, share, color=look.ink, fontsize=7, va="center")
    axes.set(xlim=(0, 1.3 + 0.62 * 9 + 1.3), ylim=(len(images), -0.1), aspect="equal")
    axes.set_axis_off()


def _rates(axes: Axes, rows: list[Row], look: Look) -> None:
    paper = "#ffffff" if look is LOOKS["light"] else "#0d1117"
    shades = LinearSegmentedColormap.from_list("rates", [paper, look.pairs[1]])
    values = np.array([row["rates"] for row in rows])
    axes.imshow(values, cmap=shades, vmin=0, vmax=1, aspect="auto")
    for (digit, block), rate in np.ndenumerate(values):
        letters = paper if rate > 0.6 else look.ink
        axes.text(block, digit, f"{rate:.2f}", color=letters, fontsize=6, ha="center", va="center")
    axes.set_xticks(range(values.shape[1]), [str(n + 1) for n in range(values.shape[1])])
    axes.set_yticks(range(len(rows)))
    axes.set_xlabel("block", color=look.ink, fontsize=8)
    axes.set_ylabel("digit", color=look.ink, fontsize=8)
    axes.set_title("how often each block runs", color=look.ink, fontsize=9)
    axes.tick_params(colors=look.ink, labelsize=7, length=0)
    axes.spines[:].set_visible(False)


def main(options: Options) -> None:
    """Measure unless told otherwise, and write the figure for both themes."""
    if not options.draw:
        measure(options.epochs)
    rows = read(NAME)["rows"]
    mpl.rcParams.update({"svg.hashsalt": "dyncore", "svg.fonttype": "none"})
    for name, look in LOOKS.items():
        target = FIGURES / f"{NAME}-{name}.svg"
        metadata = {"Date": None, "Description": description(sources())}
        draw(rows, look).savefig(target, transparent=True, metadata=metadata)
        print(f"written: docs/figures/{target.name}")


def sources() -> list[Path]:
    """The file that the figure is drawn from."""
    return [RESULTS / f"{NAME}.json"]


if __name__ == "__main__":
    main(tyro.cli(Options))
