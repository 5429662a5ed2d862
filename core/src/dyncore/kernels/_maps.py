"""Which maps compiled code reads."""

import torch
from torch import Tensor, nn


def readable(dtype: torch.dtype, *maps: Tensor | None) -> bool:
    """Whether ``maps`` are torch's own tensors, channels-last, of ``dtype`` and on a CPU."""
    return all(
        type(x) in (Tensor, nn.Parameter)
        and x.device.type == "cpu"
        and x.dtype == dtype
        and x.is_contiguous(memory_format=torch.channels_last)
        for x in maps
        if x is not None
    )
