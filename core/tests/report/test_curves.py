"""Training curves from metrics, however a run ended."""

import json

from dyncore.report import write_curves
from dyncore.report._curves import curves

ROWS = [
    {"step": 1, "phase": "warm-up", "epoch": 0.5, "train/loss": 2.0, "train/rate": 0.5},
    {"step": 2, "phase": "train", "epoch": 1.0, "train/loss": 1.0, "train/rate": 0.25},
    {"step": 2, "epoch": 1.0, "test/accuracy": 0.75, "test/block_rates": [0.5, 0.5]},
]


def test_a_figure_per_kind_of_number():
    drawings = {drawing.name: drawing for drawing in curves(ROWS)}
    assert set(drawings) == {"accuracy", "loss", "terms"}
    (axes,) = drawings["loss"].figure.axes
    loss, change = axes.lines
    assert loss.get_xydata().tolist() == [[0.5, 2.0], [1.0, 1.0]]
    assert list(change.get_xdata()) == [1.0, 1.0]  # where the phase changes
    assert "train/loss from 2 to 1" in drawings["loss"].text


def test_half_a_row_is_left_out(tmp_path):
    lines = [json.dumps(row) for row in ROWS]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 3, "pha')
    page = write_curves(tmp_path)
    assert page == tmp_path / "training.html"
    text = page.read_text(encoding="utf-8")
    assert "2 steps, 1 epochs; accuracy 75.00 %" in text
    assert text.count("<img ") == 3


def test_a_run_without_metrics_has_no_page(tmp_path):
    assert write_curves(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text("")
    assert write_curves(tmp_path) is None
    assert not (tmp_path / "training.html").exists()
