"""Draws what cascades of CIFAR-10 ResNets gain: the first figure of the README.

``python benchmarks/cascade_figure.py`` reads ``results/cascade[-finetuned].json`` and
``cascade-clock[-finetuned].json``, those of fine-tuned networks where there are some, and writes
``docs/figures/cascade-light.svg`` and ``cascade-dark.svg``. Each says in its description what it
was drawn from, by which ``tests/test_models.py`` sees that it is current.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from page_markdown import RESULTS, Row, read

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
SOURCES = ("cascade", "cascade-clock")


@dataclass(frozen=True)
class Look:
    """Colours of one of GitHub's two themes."""

    ink: str
    faint: str
    single: str
    pairs: tuple[str, str]
    """ResNet-20 → 32, and ResNet-20 → 56."""


LOOKS = {
    "light": Look("#1f2328", "#d1d9e0", "#656d76", ("#b35900", "#0757b5")),
    "dark": Look("#e6edf3", "#3d444d", "#9198a1", ("#f0883e", "#58a6ff")),
}
PAIRS = ((20, 32), (20, 56))
AXES = (
    ("mean MACs per image, millions", None),
    ("ms per image, batch 1, OpenVINO", 1),
    ("ms per image, batch 128, OpenVINO", 128),
)
"""Label, and batch size of what was timed."""


def sources() -> list[Path]:
    """The files that the figure is drawn from."""
    tuned = [RESULTS / f"{name}-finetuned.json" for name in SOURCES]
    if all(file.exists() for file in tuned):
        return tuned
    return [RESULTS / f"{name}.json" for name in SOURCES]


def description(files: Sequence[Path]) -> str:
    """What a figure of these files says about itself."""
    content = b"".join(file.read_bytes() for file in files)
    names = ", ".join(file.name for file in files)
    return f"drawn from {names}, sha256 {hashlib.sha256(content).hexdigest()}"


def points(rows: Sequence[Row], networks: Sequence[int], batch: int | None) -> list[Row]:
    """Cost ``x`` and accuracy of a network, or of a cascade at every share, by cost."""
    name = "ResNet-" + " → ".join(map(str, networks))
    if batch is None:
        found = [
            {**row, "x": row["mean_macs"] / 1e6}
            for row in rows
            if row["kind"] in ("single", "cascade")
            and row["model"] == name
            and row.get("answer", "mean") == "mean"
        ]
    else:
        found = [
            {**row, "x": row["ms"]}
            for row in rows
            if row["kind"] == "clock"
            and row["networks"] == list(networks)
            and row["batch"] == batch
        ]
    return sorted(found, key=lambda row: float(row["x"]))


def draw(counted: Sequence[Row], timed: Sequence[Row], look: Look) -> Figure:
    """Accuracy against MACs and against milliseconds."""
    figure = Figure(figsize=(10.5, 3.5), layout="constrained")
    for axes, (label, batch) in zip(figure.subplots(1, 3, sharey=True), AXES, strict=True):
        _panel(axes, counted if batch is None else timed, batch, look)
        axes.set_xlabel(label, color=look.ink)
    figure.axes[0].set_ylabel("accuracy, %", color=look.ink)
    return figure


def _panel(axes: Axes, rows: Sequence[Row], batch: int | None, look: Look) -> None:
    singles = [point for n in (20, 32, 56) for point in points(rows, (n,), batch)]
    curves = [("static", "s--", look.single, singles)]
    for pair, colour in zip(PAIRS, look.pairs, strict=True):
        first = points(rows, pair[:1], batch)
        curves.append(
            (f"cascade {pair[0]} → {pair[1]}", "o-", colour, [*first, *points(rows, pair, batch)])
        )
    for label, style, colour, found in curves:
        x, y = [point["x"] for point in found], [100 * point["accuracy"] for point in found]
        axes.plot(x, y, style, color=colour, label=label, markersize=4, linewidth=1.6)
    for point, n in zip(singles, (20, 32, 56), strict=True):
        place = (point["x"], 100 * point["accuracy"])
        axes.annotate(
            f"ResNet-{n}",
            place,
            (4, -11),
            textcoords="offset points",
            color=look.single,
            fontsize=8,
        )
    axes.margins(x=0.14, y=0.12)
    axes.grid(color=look.faint, linewidth=0.6)
    axes.tick_params(colors=look.ink, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(look.faint)
    if batch is None:
        axes.legend(frameon=False, labelcolor=look.ink, fontsize=9, loc="lower right")


def main() -> None:
    """Write the figure for both themes."""
    files = sources()
    counted, timed = (read(file.stem)["rows"] for file in files)
    FIGURES.mkdir(exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "dyncore", "svg.fonttype": "none"})
    for name, look in LOOKS.items():
        target = FIGURES / f"cascade-{name}.svg"
        figure = draw(counted, timed, look)
        metadata = {"Date": None, "Description": description(files)}
        figure.savefig(target, transparent=True, metadata=metadata)
        print(f"written: docs/figures/{target.name}")


if __name__ == "__main__":
    main()
