"""Counting multiply-accumulates on the meta device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

Result = TypeVar("Result")


@torch.no_grad()
def trace(run: Callable[[], Result]) -> tuple[Result, int]:
    """What ``run`` returns, and the MACs of its convolutions and matrix products.

    torch's counter counts 2 FLOPs per MAC. Attention is counted as the matrix products that it is.
    """
    from torch.utils.flop_counter import FlopCounterMode  # imports Triton, which only this needs

    with (
        sdpa_kernel(SDPBackend.MATH),
        _attention_as_products(),
        FlopCounterMode(display=False) as counter,
    ):
        result = run()
    return result, counter.get_total_flops() // 2


@contextmanager
def _attention_as_products() -> Iterator[None]:
    """Without the one operation that ``nn.MultiheadAttention`` is on a CPU in evaluation."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def count_macs(run: Callable[[], object]) -> int:
    """MACs of the convolutions and matrix products that ``run`` dispatches."""
    return trace(run)[1]
