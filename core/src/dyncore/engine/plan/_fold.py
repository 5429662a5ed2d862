"""Batch norms folded into the convolutions before them, where both are plain torch layers.

What is anything else (a subclass, a parametrised or hooked module, another norm, padding with
something else than zeros) stays a module and runs as it is.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from dyncore.adopt import AdoptedPath, Segment, chain, is_batch_norm
from dyncore.backbones import Backbone, HeadLayers, StemLayers
from dyncore.blocks import Layer, Path, ProjectionShortcut
from dyncore.engine.plan._convnext import fold_convnext
from dyncore.engine.plan._excitation import fold_excitation
from dyncore.engine.plan._kind import calls_nothing, kind_of
from dyncore.engine.plan._layers import (
    ActivationKind,
    FoldedHead,
    FoldedLayer,
    FoldedPath,
    FoldedStem,
)
from dyncore.gating import describes, is_plain


def fold(conv: nn.Module, norm: nn.Module) -> nn.Conv2d | None:
    """One convolution that does what both do in evaluation, folded in float64.

    None where one of them is no plain layer, or the norm keeps no running statistics.
    """
    if not is_plain(conv, nn.Conv2d) or conv.padding_mode != "zeros":
        return None
    if not is_plain(norm, nn.BatchNorm2d, nn.SyncBatchNorm, *_library_norm(norm)):
        return None
    if norm.running_mean is None:
        return None
    weight, bias = fuse_conv_bn_weights(
        conv.weight.double(),
        _double(conv.bias),
        _double(norm.running_mean),
        _double(norm.running_var),
        norm.eps,
        _double(norm.weight),
        _double(norm.bias),
    )
    folded, dtype = copy.deepcopy(conv), conv.weight.dtype
    folded.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    folded.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
    return folded


def _library_norm(norm: nn.Module) -> tuple[type[nn.BatchNorm2d], ...]:
    """Its class, if it is a library's batch norm: what follows in it is a layer's activation."""
    return (type(norm),) if isinstance(norm, nn.BatchNorm2d) and is_batch_norm(norm) else ()


def _double(values: Tensor | None) -> Any:
    return None if values is None else values.double()


def fold_layer(layer: Layer) -> FoldedLayer | None:
    """``layer`` as one; None where it cannot be."""
    conv = fold(layer.conv, layer.norm)
    kind = kind_of(layer.activation)
    return None if conv is None or kind is None else FoldedLayer(conv, kind)


def fold_path(path: Path) -> FoldedPath | None:
    """``path`` layer by layer; None where one of them cannot be folded, or it shows none."""
    if isinstance(path, AdoptedPath):
        return _fold_calls(list(path.calls)) or fold_convnext(path)
    if not path.is_chain:
        return None
    layers = tuple(map(fold_layer, path.layers))
    known = tuple(layer for layer in layers if layer is not None)
    return FoldedPath(known) if len(known) == len(layers) else None


def _fold_calls(modules: list[nn.Module]) -> FoldedPath | None:
    """Convolution, norm, and perhaps activation and excitation, time and again."""
    layers: list[FoldedLayer] = []
    while modules:
        conv = None if len(modules) < 2 else fold(*modules[:2])
        if conv is None:
            return None
        modules = modules[2:]
        kind = kind_of(modules[0]) if modules else None
        modules = modules[kind is not None :]
        excitation = fold_excitation(modules[0]) if modules else None
        modules = modules[excitation is not None :]
        layers.append(FoldedLayer(conv, kind or ActivationKind.NONE, excitation))
    return FoldedPath(tuple(layers)) if layers else None


def fold_shortcut(shortcut: nn.Module) -> nn.Conv2d | nn.Identity | None:
    """A projection as one convolution, or what does nothing; None where it is neither."""
    if is_plain(shortcut, Segment):
        if calls_nothing(shortcut):
            return nn.Identity()
        names = chain(shortcut)
        if len(names) != 1 or names[0][2] is not None:
            return None
        conv, norm, _ = names[0]
        return fold(*map(shortcut.original.get_submodule, (conv, norm)))
    if not is_plain(shortcut, ProjectionShortcut):
        return None
    return fold(shortcut.conv, shortcut.norm)


def fold_stem(backbone: Backbone) -> FoldedStem | None:
    """The stem that ``backbone`` describes; None: it describes none, or it cannot be folded."""
    if not describes(backbone, "stem_layers", "stem"):
        return None
    described: StemLayers | None = backbone.stem_layers
    layer = None if described is None else fold_layer(described.layer)
    if described is None or layer is None:
        return None
    if described.pool is None or is_plain(described.pool, nn.Identity):
        return FoldedStem(layer, max_pool=False)
    return FoldedStem(layer, max_pool=True) if _is_usual(described.pool) else None


def _is_usual(pool: nn.Module) -> bool:
    """Whether it is a maximum over 3×3 pixels with stride 2 and padding 1."""
    if not is_plain(pool, nn.MaxPool2d):
        return False
    numbers = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    return [_both(number) for number in numbers] == [(3, 3), (2, 2), (1, 1), (1, 1)] and not (
        pool.ceil_mode or pool.return_indices
    )


def _both(number: object) -> object:
    """Of height and width."""
    return number if isinstance(number, tuple) else (number, number)


def fold_head(backbone: Backbone) -> FoldedHead | None:
    """The same of the head, whose last layer must be a plain linear one."""
    if not describes(backbone, "head_layers", "head"):
        return None
    described: HeadLayers | None = backbone.head_layers
    if (
        described is None
        or not is_plain(described.linear, nn.Linear)
        or not is_plain(described.pool, nn.AdaptiveAvgPool2d)
        or _both(described.pool.output_size) != (1, 1)
    ):
        return None
    if described.layer is None:
        return FoldedHead(None, described.linear)
    layer = fold_layer(described.layer)
    return None if layer is None else FoldedHead(layer, described.linear)


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two results differ by no more than rounding may make, at their values' scale."""
    if a.shape != b.shape:
        return False
    largest = float(b.abs().max()) if b.numel() else 0.0
    eps = torch.finfo(b.dtype).eps
    allowed = eps**0.5 * largest + eps
    return torch.allclose(a, b, rtol=0, atol=allowed)
