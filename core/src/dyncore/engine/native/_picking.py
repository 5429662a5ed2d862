"""Up to how many channels of a block it is worth while to pick them.

Picking reads single rows of weights, dense convolutions whole vectors of channels: where an image
chose most channels, all of them, those that are off times 0, take less time. Both forms add in
different orders, so a clock must not choose between them: results would differ from one engine to
the next.

The shares are where both took the same time, one thread, float32, on an AMD EPYC with AVX-512
(median of nine measurements for each of the 28 block shapes of LC-Net's ResNet-50 on 224×224 and
32×32 images and of its ResNet-18 and -20 on 32×32): 0.66 to 0.75 where a block's output is 4×4,
0.55 to 1.00 and mostly 0.75 to 0.85 elsewhere. Near them the choice matters little.
"""

from dyncore.engine.plan import BlockPlan

PICKED_SHARE = 0.8
"""Largest share of chosen channels that are picked."""
SMALL_MAP = 16
"""Pixels of an output so small that weights, each read for few pixels, outweigh everything."""
SMALL_MAP_PICKED_SHARE = 2 / 3
"""The largest share there."""


def max_picked(plan: BlockPlan) -> int:
    """Of so many chosen channels, or fewer, only those are computed; of more, all of them."""
    _, height, width = plan.out_size
    share = SMALL_MAP_PICKED_SHARE if height * width <= SMALL_MAP else PICKED_SHARE
    return int(share * plan.channels)


PICKED_PAIRS_SHARE = 0.9
"""Largest share of a block's pairs of channels that bfloat16 picks; see cpp/block.h."""


def max_picked_pairs(plan: BlockPlan) -> int:
    """The same of pairs: if as many hold a chosen channel, or fewer, only those are read."""
    return int(PICKED_PAIRS_SHARE * -(-plan.channels // 2))
