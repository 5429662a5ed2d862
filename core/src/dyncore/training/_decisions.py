"""What was decided, as a picture, for experiment trackers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from accelerate import Accelerator
from jaxtyping import UInt8

from dyncore.training._evaluation import Evaluation

CELL = 12
"""Pixels of a cell's side, with the line that parts it from the next."""
LINE = 1


def decisions_picture(evaluation: Evaluation) -> UInt8[np.ndarray, "height width 3"]:
    """A row per class of the labels, a column per gated path: white runs always, black never.

    The grey of a cell is the share of the class's images that take the path (CDB, Figure 6).
    """
    decided = evaluation.path[:, evaluation.gated]
    rates = np.stack(
        [decided[evaluation.label == label].mean(0) for label in np.unique(evaluation.label)]
    )
    cells = np.full((rates.shape[0], CELL, rates.shape[1], CELL), 128, np.uint8)
    cells[:, LINE:, :, LINE:] = (255 * rates).round().astype(np.uint8)[:, None, :, None]
    grey = cells.reshape(rates.shape[0] * CELL, rates.shape[1] * CELL)
    return np.repeat(grey[:, :, None], 3, axis=2)


def send_picture(
    accelerator: Accelerator, name: str, picture: UInt8[np.ndarray, "height width 3"], step: int
) -> None:
    """Give it to those of the run's trackers that take pictures, on the main process."""
    if not accelerator.is_main_process:
        return
    for tracker in accelerator.trackers:
        if (send := _SENDERS.get(str(tracker.name))) is not None:
            send(tracker, name, picture, step)


def _to_tensorboard(tracker: Any, name: str, picture: np.ndarray, step: int) -> None:
    tracker.log_images({name: picture[None]}, step=step, dataformats="NHWC")


def _to_wandb(tracker: Any, name: str, picture: np.ndarray, step: int) -> None:
    tracker.log_images({name: [picture]}, step=step)


def _to_trackio(tracker: Any, name: str, picture: np.ndarray, step: int) -> None:
    import trackio

    tracker.log({name: trackio.Image(picture)}, step=step)


_SENDERS: dict[str, Callable[[Any, str, np.ndarray, int], None]] = {
    "tensorboard": _to_tensorboard,
    "wandb": _to_wandb,
    "trackio": _to_trackio,
}
"""By the tracker's name in accelerate, whose trackers take pictures in different ways."""
