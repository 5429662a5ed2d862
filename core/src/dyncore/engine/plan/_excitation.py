"""Squeeze and excitation of the libraries, as weights."""

from typing import NamedTuple

from torch import nn

from dyncore.engine.plan._kind import kind_of
from dyncore.engine.plan._layers import FoldedExcitation
from dyncore.gating import does_more, is_plain


class _Names(NamedTuple):
    """Of its parts, in a library's class."""

    reduce: str
    activation: str
    expand: str
    gate: str


_KNOWN = {
    ("torchvision.ops.misc", "SqueezeExcitation"): _Names(
        "fc1", "activation", "fc2", "scale_activation"
    ),
    ("timm.layers.squeeze_excite", "SEModule"): _Names("fc1", "act", "fc2", "gate"),
    ("timm.models._efficientnet_blocks", "SqueezeExcite"): _Names(
        "conv_reduce", "act1", "conv_expand", "gate"
    ),
}
_GATES = {"Sigmoid": False, "Hardsigmoid": True}
"""By the name of their class, whether they are hard."""


def fold_excitation(module: nn.Module) -> FoldedExcitation | None:
    """``module``, if it is one that is known and nobody listens in it; the plan compares it."""
    kind = type(module)
    names = _KNOWN.get((kind.__module__, kind.__name__))
    if names is None or any(map(does_more, module.modules())):
        return None
    reduce, activation, expand, gate = map(module.get_submodule, names)
    if not (_is_pixelwise(reduce) and _is_pixelwise(expand)) or type(gate).__name__ not in _GATES:
        return None
    follows = kind_of(activation)
    if follows is None or not isinstance(getattr(module, "bn", nn.Identity()), nn.Identity):
        return None
    hard = _GATES[type(gate).__name__]
    return FoldedExcitation(reduce, follows, expand, hard)  # type: ignore[arg-type]


def _is_pixelwise(conv: nn.Module) -> bool:
    return (
        is_plain(conv, nn.Conv2d)
        and conv.kernel_size == (1, 1)
        and conv.groups == 1
        and conv.bias is not None
    )
