"""ConvNeXt's branches: a depthwise convolution, and an MLP of single pixels with a layer norm."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dyncore.adopt import AdoptedPath, Step
from dyncore.engine.plan._layers import ActivationKind, FoldedLayer, FoldedPath
from dyncore.gating import is_plain

_KINDS = (
    ("Conv2d",),
    ("LayerNorm", "LayerNorm2d"),
    ("Linear", "Conv2d"),
    ("GELU",),
    ("Linear", "Conv2d"),
)
"""Classes of what timm and torchvision call, by name; the plan compares the answers."""
_MOVES = {"Permute", "Dropout", "Identity", "StochasticDepth", "DropPath"}
"""What else is called: it moves axes, or does nothing in evaluation."""


def fold_convnext(path: AdoptedPath) -> FoldedPath | None:
    """The layers of such a branch, the norm's and the layer scale's numbers in the linear ones."""
    if path.segment is None or not path.is_quiet:
        return None
    called = [path.owner.get_submodule(name) for name in path.segment.modules_called]
    modules = [leaf for module in called for leaf in _leaves(module)]
    kept: list[Any] = [each for each in modules if type(each).__name__ not in _MOVES]
    if len(kept) != len(_KINDS) or not all(
        type(module).__name__ in names and is_plain(module, type(module))
        for module, names in zip(kept, _KINDS, strict=True)
    ):
        return None
    conv, norm, first, gelu, last = kept
    scale = _scale(path.owner, path.segment.steps)
    tanh = getattr(gelu, "approximate", "none") != "none"
    biased = all(module.bias is not None for module in (conv, first, last))
    if norm.weight is None or tanh or not biased or scale is None:
        return None
    shift = norm.bias if norm.bias is not None else torch.zeros_like(norm.weight)
    weight = first.weight.double().flatten(1)
    widened = _pixelwise(weight * norm.weight, weight @ shift.double() + first.bias, first.weight)
    factors = scale.double().flatten()
    narrowed = _pixelwise(
        last.weight.double().flatten(1) * factors[:, None],
        last.bias.double() * factors,
        last.weight,
    )
    return FoldedPath(
        (
            FoldedLayer(conv, ActivationKind.NONE, standardised=norm.eps),
            FoldedLayer(widened, ActivationKind.GELU),
            FoldedLayer(narrowed, ActivationKind.NONE),
        )
    )


def _leaves(module: nn.Module) -> list[nn.Module]:
    """In the order in which they stand, which is that of their calls in an MLP and a sequence."""
    children = list(module.children())
    return [leaf for child in children for leaf in _leaves(child)] if children else [module]


def _scale(owner: nn.Module, steps: Sequence[Step]) -> Tensor | None:
    """What the branch is multiplied by; 1 without; None where other things are computed, too."""
    named = [step.target for step in steps if step.kind == "get_attr"]
    products = [step for step in steps if step.target in (operator.mul, torch.mul, "mul")]
    known = {operator.mul, torch.mul, "mul", "permute", "reshape"}
    others = [s for s in steps if s.kind.startswith("call_") and s.kind != "call_module"]
    if len(named) != len(products) or len(named) > 1 or any(s.target not in known for s in others):
        return None
    found: Tensor = operator.attrgetter(named[0])(owner) if named else torch.ones(1)
    return found


def _pixelwise(weight: Tensor, bias: Tensor, like: Tensor) -> nn.Conv2d:
    outputs, inputs = weight.shape
    conv = nn.Conv2d(inputs, outputs, 1, device="meta")
    conv.weight = nn.Parameter(weight.to(like)[:, :, None, None], requires_grad=False)
    conv.bias = nn.Parameter(bias.to(like), requires_grad=False)
    return conv
