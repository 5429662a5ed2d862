"""Images beside what was decided about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import Tensor

from dyncore.report._drawing import INK, WIDTH, Drawing, drawn
from dyncore.report._subject import Subject

COLUMNS = 10
"""Images in a row: each has a thumb's width on a phone."""
PATHS = 4
"""Execution paths that are shown, the most frequent first."""

WRONG = "#c94f41"

Look = Callable[[Sequence[int]], UInt8[Tensor, "row channel height width"]]
"""Images of some rows of the split."""


@dataclass(frozen=True)
class Row:
    """Images beside one another, with a line above them and one below each."""

    title: str
    images: UInt8[Tensor, "image channel height width"]
    captions: Sequence[str]
    wrong: Sequence[bool]
    """Whether a caption is of a wrong answer."""


def easy_and_hard(subject: Subject, classes: Sequence[str], look: Look, number: int) -> Drawing:
    """Of some classes the cheapest and the dearest image (DMNN, Figure 6; LC-Net, Figure 6).

    Where several cost the same the first one is shown.
    """
    evaluation = subject.evaluation
    chosen = _spread_out(np.unique(evaluation.label))
    of_class = [np.flatnonzero(evaluation.label == label) for label in chosen]
    easy = [int(rows[evaluation.macs[rows].argmin()]) for rows in of_class]
    hard = [int(rows[evaluation.macs[rows].argmax()]) for rows in of_class]
    images = look([*easy, *hard])

    def row(title: str, shown: Sequence[int], images: Tensor) -> Row:
        wrong = [bool(evaluation.prediction[row] != evaluation.label[row]) for row in shown]
        captions = []
        for image, missed in zip(shown, wrong, strict=True):
            answer = evaluation.prediction[image] if missed else evaluation.label[image]
            name = _short(classes[answer])
            captions.append(f"{'not ' * missed}{name}\n{_share(subject, image):.0f} %")
        return Row(title, images, captions, wrong)

    figure = _album(
        [
            row("cheapest of its class", easy, images[: len(easy)]),
            row("dearest of its class", hard, images[len(easy) :]),
        ],
        lines=2,
    )
    said = "; ".join(
        f"{classes[label]}: {_share(subject, low):.0f} and {_share(subject, high):.0f} %"
        for label, low, high in zip(chosen, easy, hard, strict=True)
    )
    return Drawing(
        f"easy-hard-{number}",
        f"Cheapest and dearest images: {subject.name}",
        f"The cheapest and the dearest image of some classes, with their MACs in % of the static "
        f"network's. {said}.",
        figure,
    )


def shared_paths(subject: Subject, look: Look, number: int) -> Drawing:
    """Images that take one execution path, a row per path (RDI-Net, Figure 8)."""
    evaluation = subject.evaluation
    parts = [evaluation.path, *([] if evaluation.channels is None else [evaluation.channels])]
    _, first, which, counts = np.unique(
        np.hstack(parts), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    frequent = np.argsort(-counts, kind="stable")[:PATHS]
    shown = [_spread_out(np.flatnonzero(which.reshape(-1) == path)) for path in frequent]
    images = look([row for rows in shown for row in rows]).split(list(map(len, shown)))
    decided, total = int(evaluation.gated.sum()), len(evaluation.label)
    rows, said = [], []
    for letter, path, own in zip("ABCD", frequent, images, strict=False):
        on = int(evaluation.path[first[path]][evaluation.gated].sum())
        share = f"{counts[path]} of {total} images"
        rows.append(Row(f"{letter}: {on} of {decided} paths on, {share}", own, (), ()))
        said.append(f"path {letter} has {on} of {decided} paths on and is taken by {share}")
    return Drawing(
        f"shared-paths-{number}",
        f"Images that share a path: {subject.name}",
        f"Images in rows, each row of one execution path: {'; '.join(said)}.",
        _album(rows, lines=0),
    )


def _album(rows: Sequence[Row], *, lines: int) -> Figure:
    """Rows of images, one image to a unit of the axes; ``lines`` of text go below each."""
    title, line = 0.3, 0.26
    step = title + 1 + lines * line
    with drawn(step * len(rows) * WIDTH / COLUMNS) as (figure, (axes,)):
        for number, row in enumerate(rows):
            top = number * step
            axes.text(0, top + title - 0.08, row.title, fontsize=7)
            for place, image in enumerate(row.images):
                corners = (place, place + 0.92, top + title + 0.92, top + title)
                pixels = image.permute(1, 2, 0).numpy()
                axes.imshow(pixels, extent=corners, interpolation="nearest")
            for place, (caption, wrong) in enumerate(zip(row.captions, row.wrong, strict=True)):
                colour = WRONG if wrong else INK
                below = (place + 0.46, top + title + 0.98)
                axes.text(*below, caption, fontsize=6, color=colour, ha="center", va="top")
        axes.set(xlim=(0, COLUMNS), ylim=(step * len(rows), 0))
        axes.set_axis_off()
    return figure


def _spread_out(values: np.ndarray) -> list[int]:
    """Up to a row of them, from the first to the last."""
    places = np.linspace(0, len(values) - 1, min(COLUMNS, len(values))).round().astype(int)
    return [int(value) for value in values[places]]


def _share(subject: Subject, row: int) -> float:
    return float(100 * subject.evaluation.macs[row] / subject.evaluation.static_macs)


def _short(name: str) -> str:
    return name if len(name) <= 9 else f"{name[:8]}…"
