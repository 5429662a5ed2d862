"""Figures of cost say what counting says."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.report import PrintedRow
from dyncore.report._cost import (
    accuracy_against_macs,
    accuracy_over_seeds,
    by_cost,
    cost_histogram,
)
from dyncore.training import Evaluation


def of_costs(macs: list[int], right: list[bool]) -> Evaluation:
    ones = np.ones((len(macs), 1), bool)
    return Evaluation(
        label=np.zeros(len(macs), int),
        prediction=np.where(right, 0, 1),
        macs=np.array(macs),
        path=ones,
        channels=None,
        blocks=np.array([0]),
        gated=np.array([True]),
        static_macs=9,
    )


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=80))
def test_groups_hold_all_images_and_never_part_equal_costs(images):
    images = sorted(images, key=lambda image: image[0])
    macs, right = map(list, zip(*images, strict=True))
    edges, accuracy = by_cost(of_costs(macs, right))
    cuts = (edges * len(images) / 100).round().astype(int)
    assert (cuts[0], cuts[-1]) == (0, len(images))
    assert len(accuracy) == len(edges) - 1 <= 10
    for begin, end, share in zip(cuts, cuts[1:], accuracy, strict=False):
        assert end - begin >= len(images) / 20
        assert end == len(images) or macs[end - 1] < macs[end]
        assert share == pytest.approx(100 * sum(right[begin:end]) / (end - begin))


def test_unequal_costs_make_ten_groups():
    edges, accuracy = by_cost(of_costs(list(range(1, 101)), [True] * 50 + [False] * 50))
    assert edges.tolist() == list(range(0, 101, 10))
    assert accuracy.tolist() == [100] * 5 + [0] * 5


def test_seeds_are_one_point_with_their_standard_deviation(subject):
    runs = [subject("vanilla", seed) for seed in range(3)]
    static = subject("static", gated=False)
    row = PrintedRow("a paper", 700.0, 81.5)
    drawing = accuracy_against_macs([*runs, static], [row])
    (axes,) = drawing.figure.axes
    shown = {entry.get_label(): entry for entry in axes.containers}
    assert set(shown) == {"vanilla (3 seeds)", "static"}
    accuracy = [100 * run.evaluation.accuracy for run in runs]
    macs = [run.evaluation.mean_macs for run in runs]
    point, _, (across, along) = shown["vanilla (3 seeds)"]
    x, y = (float(values[0]) for values in point.get_data())
    assert (x, y) == pytest.approx((statistics.mean(macs), statistics.mean(accuracy)))
    for bars, column, values in ((across, 0, macs), (along, 1, accuracy)):
        low, high = bars.get_segments()[0][:, column]
        assert (high - low) / 2 == pytest.approx(statistics.stdev(values))
    assert f"{statistics.mean(accuracy):.2f} ± {statistics.stdev(accuracy):.2f}" in drawing.text
    (printed,) = [line for line in axes.lines if line.get_label() == "a paper"]
    assert (float(printed.get_xdata()[0]), float(printed.get_ydata()[0])) == (700.0, 81.5)
    assert "Printed, a paper: 81.50 % at 700." in drawing.text


def test_each_seed_is_shown(subject):
    runs = [subject("vanilla", seed) for seed in range(4)]
    (axes,) = accuracy_over_seeds([*runs, subject("static")]).figure.axes
    (points,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert points.get_xdata().tolist() == [100 * run.evaluation.accuracy for run in runs]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["vanilla"]


def test_histogram_holds_every_image(subject):
    subjects = [subject("a", 1), subject("b", 2)]
    for panel, shown in zip(cost_histogram(subjects).figure.axes, subjects, strict=True):
        assert sum(bar.get_height() for bar in panel.patches) == pytest.approx(100)
        ratio = 100 * shown.evaluation.macs / shown.evaluation.static_macs
        occupied = [bar for bar in panel.patches if bar.get_height()]
        assert occupied[0].get_x() <= ratio.min()
        assert occupied[-1].get_x() + occupied[-1].get_width() >= ratio.max() - 1e-9
