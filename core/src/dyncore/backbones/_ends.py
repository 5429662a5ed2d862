"""What stems and heads are made of, where they are made of what most are.

They are alike only if they are the same: ``torch.compile`` asks for the hash of what it traces
while it is being made, before a hash of fields can be told.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks import Layer


@dataclass(frozen=True, eq=False)
class StemLayers:
    """``pool(activation(norm(conv(images))))``."""

    layer: Layer
    pool: nn.Module | None
    """A maximum, ``nn.Identity``, or what took its place; None: none."""

    def __call__(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        conv, norm, activation = self.layer
        x = activation(norm(conv(images)))
        return x if self.pool is None else self.pool(x)


@dataclass(frozen=True, eq=False)
class HeadLayers:
    """``linear(pool(activation(norm(conv(x)))))`` in evaluation."""

    layer: Layer | None
    """None: the mean is that of the last block's output."""
    pool: nn.Module
    """The mean over pixels, or what took its place."""
    linear: nn.Module
    """An ``nn.Linear``, or what took its place."""

    def __call__(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        if self.layer is not None:
            conv, norm, activation = self.layer
            x = activation(norm(conv(x)))
        return self.linear(self.pool(x).flatten(1))
