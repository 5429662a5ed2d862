"""A map and its mean as one operation."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.kernels._beside import beside
from dyncore.kernels._transforms import transforms


def pool(
    x: Float[Tensor, "batch channel height width"],
) -> tuple[Float[Tensor, "batch channel height width"], Float[Tensor, "batch channel"]]:
    """The map, for its block, and its mean over height and width, for its router.

    Use the map that is returned: its gradient and the mean's then meet in one addition, where a
    mean of its own would write a whole map of equal numbers first.
    """
    if transforms() or not x.requires_grad:
        return x, x.mean((2, 3))
    return _Pool.apply(x)  # type: ignore[no-untyped-call]


class _Pool(torch.autograd.Function):
    """Its backward pass is made of differentiable operations: it has second derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.pixels = x.shape[2] * x.shape[3]
        return x.view_as(x), x.mean((2, 3))

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor) -> Tensor:
        return grad + beside(grad_mean / ctx.pixels, grad)
