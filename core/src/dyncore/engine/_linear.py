"""Matrix products on a CPU: oneDNN's own operator, or torch's public one.

``torch.ops.mkldnn._linear_pointwise`` is private. It takes a plain weight without packing it, at
the speed of oneDNN, which on some processors is twice that of the library behind ``F.linear``.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from dyncore.engine._convolution import POST, Activation, activate_

Linear: TypeAlias = Callable[[Tensor, Tensor, Tensor, Activation], Tensor]
"""(x, weight, bias, activation) → ``activation(x weightᵀ + bias)``."""


def choose_linear(dtype: torch.dtype, *, portable: bool) -> Linear:
    """The fastest form that works here."""
    if portable or dtype != torch.float32 or not linear_works():
        return _portable
    return _onednn


def _portable(x: Tensor, weight: Tensor, bias: Tensor, activation: Activation) -> Tensor:
    return activate_(F.linear(x, weight, bias), activation)


def _onednn(x: Tensor, weight: Tensor, bias: Tensor, activation: Activation) -> Tensor:
    name, scalars = POST[activation]
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, name, scalars, "")


@functools.cache
def linear_works() -> bool:
    """Whether oneDNN's operator is here and answers as the public one."""
    x, weight = torch.linspace(-1, 1, 30).view(5, 6), torch.linspace(-2, 1, 24).view(6, 4)
    bias = torch.linspace(-9, 9, 4)
    try:
        with torch.no_grad():
            return all(
                torch.allclose(_onednn(x, w, bias, a), _portable(x, w, bias, a), atol=1e-5)
                for w in (weight.T, weight.T.contiguous())
                for a in get_args(Activation)
            )
    except (AttributeError, RuntimeError, TypeError):
        return False
