"""Up to how many channels of a block it is worth while to pick them."""

import time

import torch

from dyncore.engine._native import NativeBlock
from dyncore.gating import Choice, Decision

TURNS = 5
"""Runs of each form, of which the best counts, after one that does not."""


@torch.no_grad()
def measure_picking(block: NativeBlock, threads: int) -> None:
    """Have ``block`` run all of its channels where that is faster than to pick the chosen ones.

    Two timings say what picking costs by the number of channels, a third one what all of them
    cost. Each thread runs an image, with weights of 0, so that the maps stay as they were.
    """
    channels, paths = block.plan.channels, len(block.plan.paths)
    few, many = channels // 4, 3 * channels // 4
    x = block.before.take(threads)
    on = torch.ones(threads, paths, dtype=torch.bool)
    weight = x.new_zeros(on.shape)

    def choosing(count: int) -> Decision:
        spread = torch.arange(channels) * count % channels < count
        channel_on = spread.expand(threads, -1)
        return Decision(Choice(on, weight), Choice.of(channel_on, x.dtype))

    forms = (choosing(few), channels), (choosing(many), channels), (choosing(channels), 0)
    best = [float("inf")] * len(forms)
    for turn in range(TURNS + 1):
        for form, (decision, most_picked) in enumerate(forms):
            block.block.most_picked = most_picked
            start = time.perf_counter()
            block.run(x, decision, scales=True)
            if turn:
                best[form] = min(best[form], time.perf_counter() - start)
    low, high, dense = best
    block.block.most_picked = _break_even((few, low), (many, high), dense, channels)


def _break_even(
    few: tuple[int, float], many: tuple[int, float], dense: float, channels: int
) -> int:
    """Where the line through two points (channels, seconds) meets ``dense``, in 0 … channels."""
    slope = (many[1] - few[1]) / max(1, many[0] - few[0])
    if slope <= 0:
        return channels if few[1] < dense else 0
    return round(min(max(few[0] + (dense - few[1]) / slope, 0), channels))
