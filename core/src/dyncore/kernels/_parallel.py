"""N paths of a block as the launches of one: concatenated and grouped convolutions."""

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks import Activation, Layer, rectifies, rectifies_to_six
from dyncore.gating import is_plain
from dyncore.kernels._folded_sum import folded_sum
from dyncore.kernels._grouped import grouped
from dyncore.kernels._weighted_norm import activated_norm, weighted_norm

WORTH_FOLDING = 20
"""This many times the pixels of a batch, at least the square of a path's width: then folding pays
(measured)."""


def parallel(paths: Sequence[Sequence[Layer]]) -> bool:
    """Whether :func:`weighted_sum` can run ``paths``, given by their layers, at once.

    They differ in nothing but their weights, and their convolutions are torch's, without biases
    and padded with zeros: these are not called, only their weights are read.
    """
    return (
        all(_is_bare(layer.conv) for layers in paths for layer in layers)
        and len(paths[0]) > 1
        and paths[0][0].conv.groups == 1
        and len({tuple(map(_form, layers)) for layers in paths}) == 1
    )


def _is_bare(conv: nn.Module) -> bool:
    return is_plain(conv, nn.Conv2d) and conv.bias is None and conv.padding_mode == "zeros"


def _form(layer: Layer) -> Hashable:
    """What layers of one number must have in common."""
    conv = layer.conv
    geometry = (conv.weight.shape, conv.stride, conv.padding, conv.dilation, conv.groups)
    known = rectifies(layer.activation), rectifies_to_six(layer.activation)
    return *geometry, layer.norm.eps, known if any(known) else layer.activation


def weighted_sum(
    paths: Sequence[Sequence[Layer]],
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "batch path"],
    shortcut: Float[Tensor, "batch out_channel out_height out_width"] | None,
    activation: Activation,
) -> Float[Tensor, "batch out_channel out_height out_width"]:
    """``activation(shortcut + Σₙ wₙ pathₙ(x))``.

    The first layers are one convolution of x, those in the middle one grouped convolution. A last
    layer of 1×1 convolutions is one convolution too, of all narrow inputs, with the norms folded
    into its weights: their statistics follow from those of the input. Of few pixels it is grouped.
    """
    *inner, last = zip(*paths, strict=True)
    groups = 1
    for layers in inner:
        x = _convolve(layers, x, groups)
        x = activated_norm(x, [layer.norm for layer in layers], layers[0].activation)
        groups = len(paths)
    if _folds(last[0].conv, x):
        return activation(folded_sum(last, x, weight, shortcut))
    x = _convolve(last, x, groups)
    norms = [layer.norm for layer in last]
    return weighted_norm(x, norms, weight[..., None], shortcut, activation=activation)


def _folds(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether it is 1×1, and has pixels enough to make its input's covariance worth its work."""
    pointwise = conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.padding == (0, 0)
    return pointwise and conv.groups == 1 and WORTH_FOLDING * x[:, 0].numel() >= conv.in_channels**2


def _convolve(layers: Sequence[Layer], x: Tensor, groups: int) -> Tensor:
    conv = layers[0].conv
    weight = torch.cat([layer.conv.weight for layer in layers])
    return grouped(x, weight, conv, groups * conv.groups)
