"""Looking at whole images and gathering them without torch's threads: the same as torch gives."""

import math
import threading
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyncore.cascade import Cascade, Member
from dyncore.cascade._confidence import Confidence
from dyncore.cascade._quiet import ALONE, extremes, log_softmax, take

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


@given(
    logits=arrays(
        np.float32,
        st.tuples(st.integers(0, 9), st.integers(2, 40)),
        elements=st.floats(-200, 200, width=32),
    )
)
def test_log_softmax_is_torchs(logits):
    values = torch.from_numpy(logits)
    torch.testing.assert_close(log_softmax(values), values.log_softmax(1))


def nanoseconds_of_other_threads():
    """CPU time of all threads of this process but the calling one."""
    tasks = Path("/proc/self/task")
    others = (task for task in tasks.iterdir() if task.name != str(threading.get_native_id()))
    return sum(int((task / "schedstat").read_text().split()[0]) for task in others)


def nanoseconds_at_rest():
    """The same when they have fallen asleep."""
    before = -1
    while (now := nanoseconds_of_other_threads()) != before:
        before = now
        time.sleep(0.1)
    return now


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="needs Linux's CPU times of threads"
)
@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("confidence", get_args(Confidence))
@pytest.mark.parametrize("images", [1, 8, 128])
def test_a_cascades_rule_leaves_the_other_threads_asleep(images, confidence):
    """They would spin for milliseconds where the members' own threads want to work."""
    batch, logits = torch.rand(images, 3, 32, 32), torch.randn(images, 10)
    members = [
        Member(run=lambda images: logits[: len(images)], name=name, preprocessing=None, cost=1)
        for name in ("small", "large")
    ]
    cascade = Cascade(members, confidence=confidence)
    cascade.thresholds = (0.3,)
    torch.randn(2**20).exp_()  # so that the threads are there
    before = nanoseconds_at_rest()
    for _ in range(20):
        cascade(batch)
    assert nanoseconds_at_rest() - before < 1_000_000
