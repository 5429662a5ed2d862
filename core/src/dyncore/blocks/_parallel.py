"""N paths of a block as the launches of one: concatenated and grouped convolutions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks._activation import Activation
from dyncore.blocks._folded_sum import folded_sum
from dyncore.blocks._grouped import grouped
from dyncore.blocks._path import Layer, Path
from dyncore.blocks._weighted_norm import activated_norm, fuses, weighted_norm

PIXELS = 20
"""Of a batch, times this, at least the square of a path's width: then folding pays (measured)."""


def parallel(paths: Sequence[Path]) -> bool:
    """Whether :func:`weighted_sum` can run ``paths``, which are of one shape, at once."""
    first = paths[0].layers[0]
    norms = [layer.norm for path in paths for layer in path.layers]
    return first.conv.groups == 1 and fuses(*norms)


def weighted_sum(
    paths: Sequence[Path],
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "batch path"],
    shortcut: Float[Tensor, "batch out_channel out_height out_width"] | None,
    activation: Activation,
) -> Float[Tensor, "batch out_channel out_height out_width"]:
    """``activation(shortcut + Σₙ wₙ pathₙ(x))`` in training.

    The first layers are one convolution of x, those in the middle one grouped convolution. A last
    layer of 1×1 convolutions is one convolution too, of all narrow inputs, with the norms folded
    into its weights: their statistics follow from those of the input. Of few pixels it is grouped.
    """
    *inner, last = [list(layers) for layers in zip(*(path.layers for path in paths), strict=True)]
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
    plain = conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1
    return plain and PIXELS * x[:, 0].numel() >= conv.in_channels**2


def _convolve(layers: Sequence[Layer], x: Tensor, groups: int) -> Tensor:
    conv = layers[0].conv
    weight = torch.cat([layer.conv.weight for layer in layers])
    return grouped(x, weight, conv, groups * conv.groups)
