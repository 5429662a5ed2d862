"""What one gate decided for a batch of images."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Decision:
    """The decisions of one block: what is computed, and what multiplies it.

    Losses read the weights; costs, rates, files and skipping read ``on``. In hard decisions
    ``weight`` equals ``on``, except for ReLU-1 gates, whose clamped score keeps scaling.
    """

    on: Bool[Tensor, "batch path"]
    """Whether the path is computed."""
    weight: Float[Tensor, "batch path"]
    """What multiplies the path: relaxed v, straight-through value, or salience S_L."""
    channel_on: Bool[Tensor, "batch channel"] | None = None
    """Whether a channel of the block's first convolution is computed."""
    channel_weight: Float[Tensor, "batch channel"] | None = None
    """What multiplies that channel: salience S_C."""
    noise_free: Float[Tensor, "batch path"] | None = None
    """The 0 or 1 that evaluation would decide, with a gradient for training; None: weight."""
    channel_noise_free: Float[Tensor, "batch channel"] | None = None
    """The same of the channels."""
    margin: Float[Tensor, "batch path"] | None = None
    """On-logit minus off-logit, without noise; None: no logits decided."""

    @classmethod
    def of(
        cls,
        on: Bool[Tensor, "batch path"],
        channel_on: Bool[Tensor, "batch channel"] | None = None,
        *,
        dtype: torch.dtype | None = None,
    ) -> "Decision":
        """The decision whose weights are its 0s and 1s."""
        dtype = dtype or torch.get_default_dtype()
        channel_weight = None if channel_on is None else channel_on.to(dtype)
        return cls(on, on.to(dtype), channel_on, channel_weight)

    @classmethod
    def always_on(cls, x: Float[Tensor, "batch ..."], paths: int) -> "Decision":
        """Every one of ``paths`` on, for every image of ``x``."""
        on = torch.ones(x.shape[0], paths, dtype=torch.bool, device=x.device)
        return cls.of(on, dtype=x.dtype)

    def __getitem__(self, images: slice | Tensor) -> "Decision":
        """The same decision for some of the images."""
        optional = (
            self.channel_on,
            self.channel_weight,
            self.noise_free,
            self.channel_noise_free,
            self.margin,
        )
        chosen = (None if value is None else value[images] for value in optional)
        return Decision(self.on[images], self.weight[images], *chosen)
