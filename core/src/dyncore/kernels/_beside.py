"""A value per channel beside a map."""

import torch
from jaxtyping import Float
from torch import Tensor


def beside(
    values: Float[Tensor, "one_or_batch channel"], x: Float[Tensor, "batch channel height width"]
) -> Float[Tensor, "one_or_batch channel 1 one_or_width"]:
    """``values`` with two more dimensions, to be combined with ``x``.

    A channels-last map is one long row per line of it, so the values are made as long: in bfloat16
    an addition of 16 channels at a time takes six times as long.
    """
    values = values[..., None, None]
    if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return values
    return values.expand(-1, -1, 1, x.shape[3]).contiguous(memory_format=torch.channels_last)
