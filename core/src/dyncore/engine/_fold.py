"""Batch norms folded into the layers before them."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from dyncore.engine._probe import agree

_Norm = nn.modules.batchnorm._BatchNorm


def foldable(norm: nn.Module) -> bool:
    """Whether evaluation is a fixed scale and shift per channel."""
    return isinstance(norm, _Norm) and norm.running_mean is not None


def fold(layer: nn.Conv2d | nn.Linear, norm: nn.Module) -> nn.Conv2d | nn.Linear:
    """One layer that does what both do in evaluation; folded in float64."""
    dtype = layer.weight.dtype
    assert isinstance(norm, _Norm), "only batch norms fold"
    norm = copy.deepcopy(norm).double().eval()
    both: nn.Conv2d | nn.Linear
    if isinstance(layer, nn.Conv2d):
        both = fuse_conv_bn_eval(copy.deepcopy(layer).double().eval(), norm)
    else:
        both = fuse_linear_bn_eval(copy.deepcopy(layer).double().eval(), norm)
    return both.to(dtype).requires_grad_(False)


@torch.no_grad()
def folded(module: nn.Module, *inputs: object) -> nn.Module:
    """A copy for evaluation in which every norm that directly follows a layer is folded into it.

    Which ones do is seen from a run on ``inputs``. Where the copy disagrees with the original,
    e.g. because something else reads what the norm is given, the copy is left as it was.
    """
    original = copy.deepcopy(module).eval().requires_grad_(False)
    changed = copy.deepcopy(original)
    for layer, norm in _pairs(changed, inputs):
        _replace(changed, layer, fold(layer, norm))
        _replace(changed, norm, nn.Identity())
    before, after = _tensors(original(*inputs)), _tensors(changed(*inputs))
    return changed if all(map(agree, before, after)) else original


def _pairs(
    module: nn.Module, inputs: tuple[object, ...]
) -> list[tuple[nn.Conv2d | nn.Linear, nn.Module]]:
    made: list[tuple[object, nn.Conv2d | nn.Linear]] = []
    pairs: list[tuple[nn.Conv2d | nn.Linear, nn.Module]] = []

    def see(current: nn.Module, given: tuple[object, ...], output: object) -> None:
        if isinstance(current, (nn.Conv2d, nn.Linear)):
            made.append((output, current))
        elif foldable(current):
            pairs.extend((layer, current) for tensor, layer in made if tensor is given[0])

    hooks = [part.register_forward_hook(see) for part in module.modules()]
    module(*inputs)
    for hook in hooks:
        hook.remove()
    return pairs


def _replace(root: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in root.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for v in value for t in _tensors(v)] if isinstance(value, (tuple, list)) else []
