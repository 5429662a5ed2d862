"""What a network returns."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from dyncore.gating import ExecutionPath, register_result


class FeatureMaps(NamedTuple):
    """Maps of a network's stages, and what led to them."""

    maps: tuple[Tensor, ...]
    """(B, C, H, W) of each stage that was asked for."""
    path: ExecutionPath
    """The decisions about the blocks that ran, for a budget loss."""


class Output(NamedTuple):
    """Logits, the decisions that led to them, and what routers and head saw.

    A named tuple, as torchvision's outputs of several tensors are.

    A network fills every field up to ``noise``; the last three of these, which only objective parts
    read, may be left out by others. A cascade fills ``member`` and ``macs``.
    """

    logits: Float[Tensor, "batch classes"]
    path: ExecutionPath
    router_features: Sequence[Tensor | None]
    """(B, d) per block; None where no router ran (static, not gated, or a forced path)."""
    pooled: Sequence[Tensor | None]
    """(B, C) per block: its average-pooled input; None where no router ran."""
    images: Float[Tensor, "batch image_channel height width"] | None = None
    """The input itself: a teacher in training must see what its student saw."""
    features: Float[Tensor, "batch channel out_height out_width"] | None = None
    """What the last block gave and the head read."""
    noise: Float[Tensor, "batch total logit"] | None = None
    """What the gates heard: a teacher that decides as its student did must hear the same."""
    member: Int[Tensor, "batch"] | None = None
    """Number of the member that answered, from 0; None: not a cascade's output."""
    macs: Int[Tensor, "batch"] | None = None
    """MACs of each image, where only the network that ran knows them; else ask a cost table."""
    nested: Sequence[Tensor] = ()
    """(B, classes) of each network inside of this one; none in evaluation, see ``at``."""

    def __repr__(self) -> str:
        filled = ", ".join(
            f"{name} {tuple(value.shape)}"
            for name in ("features", "noise", "member", "macs")
            if (value := getattr(self, name)) is not None
        )
        logits = f"logits {tuple(self.logits.shape)} {self.logits.dtype}"
        return f"Output({logits}, {self.path}{filled and f', {filled}'})"


register_result(Output, Output._make)
