"""Batches filled up to a few sizes, and repeated on the same memory as a GPU's graphs are."""

import copy

import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore.engine._executor import walk
from dyncore.engine.cuda import MAX_GRAPH_BATCH, Buckets, Run, bucket
from dyncore.engine.plan import plan
from dyncore.engine.torch import TorchBlock, TorchNetwork


@given(st.integers(1, MAX_GRAPH_BATCH))
def test_a_bucket_holds_its_images_and_little_more(images):
    size = bucket(images)
    assert images <= size <= MAX_GRAPH_BATCH
    assert size - images <= min(15, images // 4 + 2)
    assert bucket(size) == size


def test_what_repeats_in_buckets_answers_as_the_model(network, images):
    captures = 0

    def capture(run: Run) -> Run:
        """A graph's warm-up writes to its memory, too."""
        nonlocal captures
        captures += 1
        run()
        return run

    planned = plan(copy.deepcopy(network), images[:1])
    captured = Buckets(capture).captured
    blocks = [TorchBlock(block, [captured(p) for p in block.paths]) for block in planned.blocks]
    runner = TorchNetwork(planned, blocks)
    batch = torch.cat([images, images.flip(0)])
    for size in (1, 3, 7, len(batch), 2, 7):
        with torch.no_grad():
            expected = network(batch[:size])
        before, given = captures, batch[:size].clone()
        part = walk(runner, given, None)
        torch.testing.assert_close(part.logits, expected.logits, rtol=0, atol=1e-9)
        torch.testing.assert_close(part.features, expected.features, rtol=0, atol=1e-9)
        assert given.equal(batch[:size]), "the caller's images are never changed"
    assert captures == before, "a size that was there before is not captured again"
