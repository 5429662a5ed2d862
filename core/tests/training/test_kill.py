"""Runs that are killed by SIGKILL, and go on, end with the same bits as one that never was.

Every run is a process of its own; it dies where ``killed_run.py`` says.
"""

import os
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dyncore.training import Evaluation

from . import forked

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="there is neither SIGKILL nor a fork server"
)

SCRIPT = Path(__file__).with_name("killed_run.py")
KILLS = (
    ("before a file gets its name", 1),  # before there is a run at all
    ("half a file of tensors", 1),  # within the first checkpoint
    ("before an update", 1),
    ("half a row of metrics", 2),  # in the warm-up
    ("before the checksums", 2),  # at the warm-up's end
    ("after an update", 3),
    ("half a file of tensors", 3),  # a checkpoint in the middle of an epoch
    ("after a file got its name", 4),
    ("before something old is deleted", 4),
    ("half a file of tensors", 2),
    ("after an update", 2),
    ("before the checksums", 2),
    ("before a file gets its name", 6),  # after the last checkpoint, before the model is saved
)


def start(
    output: Path,
    *,
    kill: tuple[str, int] | None = None,
    processes: int = 1,
    images: Path | None = None,
) -> list[BaseProcess]:
    """Start a run; with several processes, the first of them is the one that dies."""
    settings = {"OUTPUT": str(output), "IMAGES": None if images is None else str(images)}
    return forked.start(
        SCRIPT, [{**settings, "KILL": None if rank else kill} for rank in range(processes)]
    )


def finish(output: Path, **how: object) -> Path:
    """Run to the end; the run's folder."""
    for process in start(output, **how):
        process.join(300)
        assert process.exitcode == 0
    (folder,) = output.iterdir()
    return folder


def die(output: Path, kill: tuple[str, int], **how: object) -> None:
    """Run until the first process dies, and let the others die with it, as launchers do."""
    first, *others = start(output, kill=kill, **how)
    first.join(300)
    for other in others:
        other.kill()
        other.join()
    assert first.exitcode == -signal.SIGKILL, f"the run ended before {kill}"


def expect_same(found: Path, expected: Path) -> None:
    """Weights, optimiser, progress, metrics, evaluation and the saved model, byte by byte."""
    names = [
        sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        for folder in (found, expected)
    ]
    assert names[0] == names[1]
    for name in names[1]:
        if name not in ("recipe.json", "evaluation.parquet"):
            assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    rows = [Evaluation.load(folder / "evaluation.parquet") for folder in (found, expected)]
    for name, value in vars(rows[1]).items():
        np.testing.assert_array_equal(getattr(rows[0], name), value, name)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_is_killed_again_and_again(tmp_path, processes):
    kills = KILLS if processes == 1 else KILLS[1::3]
    expected = finish(tmp_path / "whole", processes=processes)
    for kill in kills:
        die(tmp_path / "killed", kill, processes=processes)
    expect_same(finish(tmp_path / "killed", processes=processes), expected)
    kept = sorted(path.name for path in (expected / "checkpoints").iterdir())
    assert kept == ["step-00000010", "step-00000012"]


def test_images_that_workers_decode_come_in_the_same_order(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 6), ("test", 2)):
        for label in ("cat", "dog"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(256, (70, 90, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    images = tmp_path / "images"
    expected = finish(tmp_path / "whole", images=images)
    die(tmp_path / "killed", ("after an update", 5), images=images)
    assert os.listdir(tmp_path / "killed" / expected.name / "checkpoints") != []
    expect_same(finish(tmp_path / "killed", images=images), expected)
