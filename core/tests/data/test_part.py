"""A part of a split is what it would be with only those images in it."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore.data import (
    CropFlip,
    DataFileError,
    FileSplit,
    Loader,
    MemorySplit,
    Part,
    Preprocessing,
    Split,
)

ROWS = 23
PREPROCESSING = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=8)
IMAGES = torch.randint(256, (ROWS, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
LABELS = torch.arange(ROWS) % 5


def read(split: Split, **options: object) -> list[torch.Tensor]:
    given = {"batch_size": 3, "preprocessing": PREPROCESSING, "device": "cpu", "seed": 1} | options
    batches = Loader(split, **given).epoch(2)
    return [part for b in batches for part in (b.images, b.labels, b.index)]


@given(st.lists(st.integers(0, ROWS - 1), min_size=1), st.booleans())
def test_it_reads_as_those_images_alone_do(rows, shuffle):
    options = {"shuffle": shuffle, "augmentation": CropFlip(padding=2)}
    ours = read(Part(MemorySplit(IMAGES, LABELS), rows), **options)
    alone = read(MemorySplit(IMAGES[rows], LABELS[rows]), **options)
    assert len(ours) == len(alone)
    assert all(map(torch.equal, ours, alone))


def test_a_part_of_a_part():
    split = MemorySplit(IMAGES, LABELS)
    inner = Part(Part(split, range(0, ROWS, 2)), [3, 1])
    assert torch.equal(inner.look([0, 1], PREPROCESSING), split.look([6, 2], PREPROCESSING))
    assert inner.labels.tolist() == LABELS[[6, 2]].tolist()
    assert inner.numbered([4, 3, 2, 1, 0]).labels.tolist() == (4 - LABELS[[6, 2]]).tolist()


def test_other_images_are_not_read(png: Callable[..., bytes]):
    images = [{"bytes": png(row, (9, 9), "RGB"), "path": None} for row in range(4)]
    images[2] = {"bytes": b"broken", "path": None}
    split = FileSplit(images, torch.arange(4), "some split")
    assert len(read(Part(split, [0, 1, 3]))) == 3
    with pytest.raises(DataFileError, match="2"):
        read(Part(split, [3, 2]))


def test_a_row_that_there_is_not():
    with pytest.raises(IndexError):
        Part(MemorySplit(IMAGES, LABELS), [0, ROWS])
