"""Layers with their norms folded in; a call says in plain torch what a backend must compute."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.data import Preprocessing


class ActivationKind(IntEnum):
    """An activation that every backend knows; compiled code has the same numbers."""

    NONE = 0
    RELU = 1
    RELU6 = 2
    HARDSWISH = 3
    GELU = 4


PlannedActivation: TypeAlias = ActivationKind | Callable[[Tensor], Tensor]
"""Where it is no known kind, the function itself."""


def activate(x: Tensor, activation: PlannedActivation) -> Tensor:
    """``activation(x)``; of a known kind, ``x`` stays as it is."""
    if activation == ActivationKind.NONE:
        return x
    if activation == ActivationKind.RELU:
        return torch.relu(x)
    if activation == ActivationKind.RELU6:
        return F.relu6(x)
    if activation == ActivationKind.HARDSWISH:
        return F.hardswish(x)
    if activation == ActivationKind.GELU:
        return F.gelu(x)
    assert callable(activation)
    return activation(x)


def normalized(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Images in [0, 1], normalised and channels-last."""
    return preprocessing.normalize(images).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class FoldedExcitation:
    """``x · gate(expand(activation(reduce(mean(x)))))``: squeeze and excitation."""

    reduce: nn.Conv2d
    """Of single pixels, with a bias, as the other one."""
    activation: ActivationKind
    expand: nn.Conv2d
    hard: bool
    """Whether the gate is a hard sigmoid, else a sigmoid."""

    def __call__(self, x: Tensor) -> Tensor:
        mean = activate(self.reduce(x.mean((2, 3), keepdim=True)), self.activation)
        gate = F.hardsigmoid if self.hard else torch.sigmoid
        return x * gate(self.expand(mean))


@dataclass(frozen=True)
class FoldedLayer:
    """``activation(conv(x))``: a convolution with its norm folded in, so that it has a bias."""

    conv: nn.Conv2d
    activation: ActivationKind
    excitation: FoldedExcitation | None = None
    """What its output then goes through."""
    standardised: float | None = None
    """What is added to the variance where each pixel is then standardised over its channels."""

    def __call__(self, x: Tensor) -> Tensor:
        x = activate(self.conv(x), self.activation)
        if self.standardised is not None:
            pixels = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], eps=self.standardised)
            x = pixels.permute(0, 3, 1, 2)
        return x if self.excitation is None else self.excitation(x)


@dataclass(frozen=True)
class FoldedPath:
    """Layers, one after the other."""

    layers: tuple[FoldedLayer, ...]

    def __call__(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


@dataclass(frozen=True)
class FoldedStem:
    """A layer, and perhaps a maximum over 3×3 pixels with stride 2 and padding 1."""

    layer: FoldedLayer
    max_pool: bool
    preprocessing: Preprocessing | None = None
    """By which images in [0, 1] are normalised first; None: they are already."""

    def __call__(self, images: Tensor) -> Tensor:
        if self.preprocessing is not None:
            images = normalized(images, self.preprocessing)
        x = self.layer(images)
        return F.max_pool2d(x, 3, 2, 1) if self.max_pool else x


@dataclass(frozen=True)
class FoldedHead:
    """Perhaps a layer, then each map's mean, then a linear layer."""

    layer: FoldedLayer | None
    linear: nn.Linear

    def __call__(self, x: Tensor) -> Tensor:
        x = x if self.layer is None else self.layer(x)
        return self.linear(x.mean((2, 3)))
