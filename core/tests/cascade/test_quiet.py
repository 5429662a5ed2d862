"""Looking at whole images and gathering them without torch's threads: the same as torch gives."""

import math

import pytest
import torch

from dyncore.cascade._quiet import ALONE, extremes, take

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 40])
def test_the_extremes_of_a_batch_are_found_wherever_they_are(layout, batch):
    images = torch.rand(batch, 3, 16, 16).contiguous(memory_format=layout)
    assert batch == 1 or images.numel() > ALONE
    for place, value in ((0, -0.5), (-1, 1.5)):
        images[place, 2, -1, place] = value
        assert extremes(images) == (float(images.min()), float(images.max()))
    images[-1, 1, 3, 3] = math.nan
    assert all(map(math.isnan, extremes(images)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_images_are_taken_by_number(dtype, layout):
    images = torch.rand(9, 3, 5, 5).to(dtype).contiguous(memory_format=layout)
    rows = torch.tensor([7, 0, 3])
    taken = take(images, rows)
    assert taken.dtype == dtype
    assert taken.equal(images[rows])
    taken.zero_()
    assert images[rows].count_nonzero() > 0, "they are copies"
