"""Which maps compiled training code reads."""

import torch
from torch import Tensor


def readable(dtype: torch.dtype, *maps: Tensor | None) -> bool:
    """Whether ``maps`` are channels-last, of ``dtype``, on a CPU, and nothing is being traced."""
    return not torch.compiler.is_compiling() and all(
        x.device.type == "cpu"
        and x.dtype == dtype
        and x.is_contiguous(memory_format=torch.channels_last)
        for x in maps
        if x is not None
    )
