"""Gradients that cannot be differentiated again, and say so."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


def first_order(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """A backward pass of an autograd function that raises RuntimeError under ``create_graph``.

    Without it the gradients that it gives would silently count as constants.
    """

    @functools.wraps(backward)
    def checked(ctx: Any, *gradients: Tensor) -> Gradients:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the fused form of a block has no second derivatives (create_graph=True): train "
                "with --no-kernels, RunOptions(kernels=False) in Python, or, where you called "
                "dyncore.kernels.install_kernels yourself, leave it out"
            )
        return backward(ctx, *gradients)

    return checked
