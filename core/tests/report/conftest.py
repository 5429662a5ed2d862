"""Evaluations made up by a seeded generator."""

from collections.abc import Callable

import numpy as np
import pytest

from dyncore.report import Subject
from dyncore.training import About, Evaluation

CLASSES = ("ant", "bee", "<b>$cat$</b>")
IMAGES = 60
BLOCKS = np.array([0, 1, 1, 2])
GATED = np.array([False, True, True, True])


def make_evaluation(
    seed: int = 0, *, channels: bool = False, gated: bool = True, images: int = IMAGES
) -> Evaluation:
    """Three blocks, of which the last two decide; labels do not depend on the seed."""
    random = np.random.default_rng(seed)
    label = np.arange(images) % len(CLASSES)
    path = random.random((images, len(BLOCKS))) < 0.3 + 0.2 * label[:, None]
    path[:, ~GATED] = True
    if not gated:
        path[:] = True
    right = random.random(images) < 0.8
    return Evaluation(
        label=label,
        prediction=np.where(right, label, (label + 1) % len(CLASSES)),
        macs=100 + path @ np.array([50, 200, 300, 400]),
        path=path,
        channels=random.random((images, 6)) < 0.5 if channels else None,
        blocks=BLOCKS,
        gated=GATED if gated else np.zeros_like(GATED),
        static_macs=1000,
        channel_blocks=np.array([1, 1, 2, 2, 2, 2]) if channels else None,
        about=About("made-up", "insects", CLASSES),
    )


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., Evaluation]:
    return make_evaluation


@pytest.fixture(scope="session")
def subject() -> Callable[..., Subject]:
    def make(name: str = "model", seed: int = 0, **settings: bool) -> Subject:
        return Subject(name, name, seed, make_evaluation(seed, **settings))

    return make
