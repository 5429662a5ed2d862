"""A figure: drawn by Matplotlib, with words for those who do not see it."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dyncore.files import replacing

WIDTH = 4.6
"""Inches: about 330 points, a phone's width, so that letters there have their own size."""
INK = "#1f2328"
LIGHT_INK = "#e6edf3"
COLOURS = (
    "#2f7fd1",
    "#e07b27",
    "#2a9d68",
    "#cf4f93",
    "#8467cf",
    "#b3951a",
    "#38a3b5",
    "#c94f41",
)
"""Seen on white and on black."""
MARKERS = "oDvP^X<>"
"""Beside colours, for those who cannot tell these apart."""
STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 200,
    "font.family": "sans-serif",
    "font.size": 8,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "dyncore",  # the same figure is the same file
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x$
    "xtick.color": INK,
    "ytick.color": INK,
}
_THEME = (
    f"<style>svg{{color:{INK};font-family:system-ui,sans-serif}}"
    f"@media(prefers-color-scheme:dark){{svg{{color:{LIGHT_INK}}}}}</style>"
)


@dataclass(frozen=True)
class Drawing:
    """A figure of a report."""

    name: str
    """Of its files."""
    title: str
    text: str
    """What it shows, in words and numbers."""
    figure: Figure

    @cached_property
    def svg(self) -> str:
        """An SVG file whose lines and letters are light where the reader's screen is dark."""
        with matplotlib.rc_context(STYLE):
            written = io.StringIO()
            self.figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
        head, tag, body = written.getvalue().partition("<defs>")
        return f"{head}{_THEME}{tag}{body}".replace(INK + ";", "currentColor;").replace(
            f'{INK}"', 'currentColor"'
        )

    def save(self, folder: Path) -> None:
        """Write ``NAME.png``, on white, and ``NAME.svg``."""
        with replacing(folder / f"{self.name}.png") as temporary, matplotlib.rc_context(STYLE):
            self.figure.savefig(temporary, format="png", facecolor="white")
        with replacing(folder / f"{self.name}.svg") as temporary:
            temporary.write_text(self.svg, encoding="utf-8")


@contextmanager
def drawn(
    height: float, rows: int = 1, *, columns: int = 1, share: bool = False
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of this height in inches, its axes row by row, and our style while it is drawn."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharex=share)
        yield figure, list(axes.flat)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # every file has this layout; none is made anew


def legend_below(figure: Figure, entries: int, longest: int) -> None:
    """One legend for all axes, in two columns where names are short. It makes its own room."""
    columns = 1 if longest > 30 or entries == 1 else 2
    rows = -(-entries // columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * rows)
    figure.legend(loc="outside lower center", ncols=columns)


def rounded(value: float) -> str:
    """A count with the prefix of thousands: 4.09 G."""
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"


def each(names: list[str], say: Callable[[int], str]) -> str:
    """One clause per name."""
    return "; ".join(f"{name}: {say(index)}" for index, name in enumerate(names)) + "."
