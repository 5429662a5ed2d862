"""Activations that every backend knows."""

from torch import nn

from dyncore.adopt import Segment
from dyncore.blocks import (
    Activation,
    does_nothing,
    rectifies,
    rectifies_to_six,
    swishes_hard,
)
from dyncore.engine.plan._layers import ActivationKind
from dyncore.gating import is_plain


def kind_of(activation: Activation) -> ActivationKind | None:
    """None: it is none that every backend knows, and is called."""
    if rectifies(activation):
        return ActivationKind.RELU
    if rectifies_to_six(activation):
        return ActivationKind.RELU6
    if swishes_hard(activation):
        return ActivationKind.HARDSWISH
    nothing = isinstance(activation, Segment) and calls_nothing(activation)
    return ActivationKind.NONE if nothing or does_nothing(activation) else None


def calls_nothing(segment: Segment) -> bool:
    """Whether all that it calls are identities, and nobody listens at them."""
    called = [segment.original.get_submodule(name) for name in segment.modules_called]
    return len(called) == len(segment.steps) and all(is_plain(m, nn.Identity) for m in called)
