"""The gate's first layer; its second one is the head of dyncore's gate."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating import Affine, Router, RouterConfig, RouterState, RouterWeights


class BottleneckRouter(Router):
    """``s = relu(W1 pooled + b1)``; the gate reads ``W2 s + b2``. No history."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(in_channels, dim)
        self.out_features = dim

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch feature"], RouterState]:
        """Feature (B, d) and the state as it was."""
        return F.relu(self.reduce(pooled)), state

    def as_weights(self) -> RouterWeights | None:
        """What lets the engine run it in compiled code; without this it runs as a module."""
        reduce = Affine.of(self.reduce)
        return None if reduce is None else RouterWeights(align=reduce)


@dataclass(frozen=True, kw_only=True)
class BottleneckRouterConfig(RouterConfig):
    """Squeezes the pooled input to a few numbers."""

    name: ClassVar[str] = "bottleneck"
    dim: int = 16
    """Width d of the feature (the paper: 16)."""

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"dim must be at least 1, not {self.dim}")

    def build(self, in_channels: int, index: int) -> BottleneckRouter:
        """The router before the ``index``-th gated block."""
        return BottleneckRouter(in_channels, self.dim)
