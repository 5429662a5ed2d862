"""A map's mean for its router, and gradients of a value per channel at the map's own speed."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def pool(
    x: Float[Tensor, "batch channel height width"],
) -> tuple[Float[Tensor, "batch channel height width"], Float[Tensor, "batch channel"]]:
    """The map, for its block, and its mean over height and width, for its router.

    Use the map that is returned: its gradient and the mean's then meet in one addition, where a
    mean of its own would write a whole map of equal numbers first.
    """
    return _Pool.apply(x) if x.requires_grad else (x, x.mean((2, 3)))  # type: ignore[no-untyped-call]


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


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.pixels = x.shape[2] * x.shape[3]
        return x.view_as(x), x.mean((2, 3))

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor) -> Tensor:
        return grad + beside(grad_mean / ctx.pixels, grad)
