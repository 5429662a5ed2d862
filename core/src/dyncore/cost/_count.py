"""Counting multiply-accumulates on the meta device."""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


@torch.no_grad()
def trace(run: Callable[[], Result]) -> tuple[Result, int]:
    """What ``run`` returns, and the MACs of its convolutions and matrix products.

    torch's counter counts 2 FLOPs per MAC.
    """
    from torch.utils.flop_counter import FlopCounterMode  # imports Triton, which only this needs

    with FlopCounterMode(display=False) as counter:
        result = run()
    return result, counter.get_total_flops() // 2


def count_macs(run: Callable[[], object]) -> int:
    """MACs of the convolutions and matrix products that ``run`` dispatches."""
    return trace(run)[1]
