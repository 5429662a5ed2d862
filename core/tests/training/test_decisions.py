"""A picture of the decisions goes to the trackers that take pictures."""

import numpy as np
import pytest
from accelerate import Accelerator

from dyncore.training import Evaluation
from dyncore.training._decisions import CELL, decisions_picture, send_picture


@pytest.fixture
def evaluation() -> Evaluation:
    """Two classes; of three paths the first is not decided."""
    label = np.array([0, 0, 1, 1])
    path = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]], bool)
    return Evaluation(
        label=label,
        prediction=label,
        macs=path.sum(1),
        path=path,
        channels=None,
        blocks=np.arange(3),
        gated=np.array([False, True, True]),
        static_macs=3,
    )


def test_a_cell_is_as_bright_as_the_path_is_frequent(evaluation):
    picture = decisions_picture(evaluation)
    assert picture.shape == (2 * CELL, 2 * CELL, 3)
    assert picture.dtype == np.uint8
    middle = picture[CELL // 2 :: CELL, CELL // 2 :: CELL, 0] / 255
    assert middle == pytest.approx(np.array([[0.5, 0.0], [1.0, 0.5]]), abs=0.005)


def test_tensorboard_keeps_it(evaluation, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    accelerator = Accelerator(log_with="tensorboard", project_dir=tmp_path)
    accelerator.init_trackers("dyncore")
    picture = decisions_picture(evaluation)
    send_picture(accelerator, "test/decisions", picture, 7)
    accelerator.end_training()
    events = EventAccumulator(str(tmp_path / "dyncore")).Reload()
    (kept,) = events.Images("test/decisions")
    assert (kept.step, kept.width, kept.height) == (7, picture.shape[1], picture.shape[0])
