"""Accuracy against what it costs, and how costs differ from image to image."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from dyncore.report._drawing import (
    COLOURS,
    INK,
    MARKERS,
    Drawing,
    drawn,
    each,
    legend_below,
    rounded,
)
from dyncore.report._printed import PrintedRow
from dyncore.report._subject import Subject, series_of
from dyncore.training import Evaluation

GROUPS = 10
BINS = 40


def accuracy_against_macs(subjects: Sequence[Subject], printed: Sequence[PrintedRow]) -> Drawing:
    """A point per model, or per series with its spread; hollow ones are printed in papers."""
    drawing = _scatter(
        "accuracy-macs",
        "Accuracy against MACs",
        "mean MACs per image",
        subjects,
        lambda subject: subject.evaluation.mean_macs,
        rounded,
        printed,
    )
    return drawing


def accuracy_against_time(subjects: Sequence[Subject]) -> Drawing:
    """A point per model that was measured."""
    return _scatter(
        "accuracy-milliseconds",
        "Accuracy against measured time",
        "milliseconds per image, batch 1",
        [subject for subject in subjects if subject.milliseconds is not None],
        lambda subject: subject.milliseconds or 0.0,
        lambda value: f"{value:.3g}",
        (),
    )


def _scatter(
    name: str,
    title: str,
    label: str,
    subjects: Sequence[Subject],
    cost: Callable[[Subject], float],
    tell: Callable[[float], str],
    printed: Sequence[PrintedRow],
) -> Drawing:
    series = series_of(subjects)
    with drawn(2.9) as (figure, (axes,)):
        for index, (key, runs) in enumerate(series.items()):
            x = np.array([cost(run) for run in runs])
            y = np.array([100 * run.evaluation.accuracy for run in runs])
            # A square: nothing depends on the image.
            marker = MARKERS[index % len(MARKERS)] if runs[0].decides else "s"
            colour = COLOURS[index % len(COLOURS)]
            many = len(runs) > 1
            axes.errorbar(
                x.mean(),
                y.mean(),
                xerr=_spread(x) if many else None,
                yerr=_spread(y) if many else None,
                fmt=marker,
                color=colour,
                capsize=2,
                label=f"{key} ({len(runs)} seeds)" if many else key,
            )
            if many:
                axes.plot(x, y, ".", color=colour, alpha=0.4, markersize=4)
        for index, row in enumerate(printed):
            colour = COLOURS[(len(series) + index) % len(COLOURS)]
            (point,) = axes.plot(row.macs, row.accuracy, "D", color=colour, label=row.name)
            point.set(markerfacecolor="none", markersize=5)
        axes.set(xlabel=label, ylabel="accuracy (%)")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tell(value)))
        axes.margins(0.12)
        axes.grid(True)
        labels = [*series, *(row.name for row in printed)]
        legend_below(figure, len(labels), max(map(len, labels)) + 10 * (len(series) < len(labels)))
    said = each(list(series), lambda index: _point(list(series.values())[index], cost, tell))
    papers = "".join(
        f" Printed, {row.name}: {row.accuracy:.2f} % at {tell(row.macs)}." for row in printed
    )
    return Drawing(name, title, f"Accuracy over {label}. {said}{papers}", figure)


def _point(
    runs: Sequence[Subject], cost: Callable[[Subject], float], tell: Callable[[float], str]
) -> str:
    accuracy = np.array([100 * run.evaluation.accuracy for run in runs])
    middle = tell(float(np.mean([cost(run) for run in runs])))
    spread = f" ± {_spread(accuracy):.2f} over {len(runs)} seeds" if len(runs) > 1 else ""
    return f"{accuracy.mean():.2f}{spread} % at {middle}"


def _spread(values: np.ndarray) -> float:
    """Standard deviation of a sample."""
    return float(values.std(ddof=1))


def accuracy_over_seeds(subjects: Sequence[Subject]) -> Drawing:
    """Every seed's accuracy, their mean and standard deviation (SP-Net, Figures 1 and 4)."""
    series = {key: runs for key, runs in series_of(subjects).items() if len(runs) > 1}
    with drawn(0.9 + 0.35 * len(series)) as (figure, (axes,)):
        for index, runs in enumerate(series.values()):
            values = np.array([100 * run.evaluation.accuracy for run in runs])
            colour = COLOURS[index % len(COLOURS)]
            axes.errorbar(
                values.mean(), index, xerr=_spread(values), fmt="|", color=colour, capsize=3
            )
            axes.plot(values, np.full(len(values), index), "o", color=colour, alpha=0.5)
        axes.set_yticks(range(len(series)), list(series))
        axes.set_ylim(len(series) - 0.5, -0.5)
        axes.set_xlabel("accuracy (%)")
        axes.grid(True, axis="x")
    values_of = list(series.values())
    said = each(list(series), lambda index: _point(values_of[index], _mean_macs, rounded) + " MACs")
    return Drawing(
        "seeds",
        "Accuracy over seeds",
        f"Each seed's accuracy, with mean and standard deviation. {said}",
        figure,
    )


def _mean_macs(subject: Subject) -> float:
    return subject.evaluation.mean_macs


def cost_histogram(subjects: Sequence[Subject]) -> Drawing:
    """How many images cost how much, model by model (CDB and DMNN, Figure 5)."""
    ratios = [100 * s.evaluation.macs / s.evaluation.static_macs for s in subjects]
    low, high = min(r.min() for r in ratios), max(r.max() for r in ratios)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    with drawn(0.7 + 0.85 * len(subjects), len(subjects), share=True) as (figure, axes):
        for index, (panel, subject, ratio) in enumerate(zip(axes, subjects, ratios, strict=True)):
            colour = COLOURS[index % len(COLOURS)]
            weights = np.full(len(ratio), 100 / len(ratio))
            panel.hist(ratio, edges.tolist(), weights=weights, color=colour, alpha=0.8)
            panel.axvline(ratio.mean(), color=INK, linestyle="--", linewidth=1)
            panel.set_title(subject.name, fontsize=8, loc="left")
            panel.grid(True, axis="y")
        axes[-1].set_xlabel("MACs of an image, in % of the static network; dashed: the mean")
        figure.supylabel("images (%)", fontsize=8)
    said = each(
        [subject.name for subject in subjects],
        lambda index: (
            f"from {ratios[index].min():.0f} to {ratios[index].max():.0f} % of the static "
            f"network's MACs, {ratios[index].mean():.0f} % on average"
        ),
    )
    return Drawing("histogram", "What single images cost", f"Histograms. {said}", figure)


def accuracy_by_decile(subjects: Sequence[Subject]) -> Drawing:
    """Accuracy of the cheapest tenth of the images, of the next, … of the dearest.

    Images of equal cost stay together, so that there may be fewer than ten groups.
    """
    groups = [by_cost(subject.evaluation) for subject in subjects]
    with drawn(2.6) as (figure, (axes,)):
        for index, (subject, (edges, accuracy)) in enumerate(zip(subjects, groups, strict=True)):
            colour = COLOURS[index % len(COLOURS)]
            _steps(axes, edges, accuracy, colour, subject.name)
        axes.set(xlabel="images from cheapest to dearest (%)", ylabel="accuracy (%)", xlim=(0, 100))
        axes.grid(True)
        names = [subject.name for subject in subjects]
        legend_below(figure, len(names), max(map(len, names)))
    said = each(names, lambda index: ", ".join(f"{value:.1f}" for value in groups[index][1]))
    text = f"Accuracy in % of the images in groups of equal size, from cheapest to dearest. {said}"
    return Drawing("deciles", "Accuracy by cost", text, figure)


def _steps(axes: Axes, edges: np.ndarray, values: np.ndarray, colour: str, name: str) -> None:
    axes.stairs(values, edges, baseline=None, color=colour, label=name, linewidth=1.6)


def by_cost(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """(edges, accuracy) in %: up to ten groups of images, cut between images of unequal cost.

    No group is smaller than a twentieth of the images.
    """
    order = np.argsort(evaluation.macs, kind="stable")
    macs, right = evaluation.macs[order], (evaluation.label == evaluation.prediction)[order]
    count = len(macs)
    edges = [0]
    for cut in np.linspace(0, count, GROUPS + 1).round().astype(int)[1:-1]:
        begin = int(np.searchsorted(macs, macs[min(cut, count - 1)]))  # of images that cost as much
        if min(begin - edges[-1], count - begin) >= count / GROUPS / 2:
            edges.append(begin)
    accuracy = [100 * part.mean() for part in np.split(right, edges[1:])]
    return np.array([*edges, count]) * 100 / count, np.array(accuracy)
