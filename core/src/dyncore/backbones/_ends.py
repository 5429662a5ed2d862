"""What stems and heads are made of, where they are made of what most are.

They are alike only if they are the same: ``torch.compile`` asks for the hash of what it traces
while it is being made, before a hash of fields can be told.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks import Layer


@dataclass(frozen=True, eq=False)
class StemLayers:
    """``max_pool(activation(norm(conv(images))))``."""

    layer: Layer
    max_pool: bool
    """A maximum over 3×3 pixels with stride 2 and padding 1; off: none."""

    def __call__(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        conv, norm, activation = self.layer
        x = activation(norm(conv(images)))
        return F.max_pool2d(x, 3, 2, 1) if self.max_pool else x


@dataclass(frozen=True, eq=False)
class HeadLayers:
    """``linear(mean(activation(norm(conv(x)))))`` in evaluation; the mean is over pixels."""

    layer: Layer | None
    """None: the mean is that of the last block's output."""
    linear: nn.Module
    """An ``nn.Linear``, or what took its place."""

    def __call__(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        if self.layer is not None:
            conv, norm, activation = self.layer
            x = activation(norm(conv(x)))
        return self.linear(x.mean((2, 3)))
