"""What follows a norm: a module, so that it can be hooked and replaced, or nothing."""

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.gating import is_plain

Activation: TypeAlias = Callable[[Tensor], Tensor]


def identity(x: Tensor) -> Tensor:
    return x


def rectifies(activation: Activation) -> bool:
    """Whether it is a ReLU and no more, so that another form of it may run in its place."""
    if isinstance(activation, nn.Module):
        return is_plain(activation, nn.ReLU)
    return activation in (F.relu, torch.relu)


def rectifies_to_six(activation: Activation) -> bool:
    """Whether it is a ReLU6 and no more."""
    if isinstance(activation, nn.Module):
        return is_plain(activation, nn.ReLU6)
    return activation is F.relu6


def swishes_hard(activation: Activation) -> bool:
    """Whether it is a hard swish and no more."""
    if isinstance(activation, nn.Module):
        return is_plain(activation, nn.Hardswish)
    return activation is F.hardswish


def does_nothing(activation: Activation) -> bool:
    """Whether it gives what it is given, and nobody listens."""
    if isinstance(activation, nn.Module):
        return is_plain(activation, nn.Identity)
    return activation is identity
