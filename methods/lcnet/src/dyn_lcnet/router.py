"""The pooled input on one scale, so that L-Net can tell images apart (ours)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating import Router, RouterConfig, RouterState


class PooledNormRouter(Router):
    """The pooled input, normalised over the batch channel by channel.

    In evaluation that is affine: with the gate's linear layer it makes one linear layer of the
    pooled input, as Eq. 3 and 4 print. In training it takes away what the pooled features of all
    images share, which is most of them: a budget that lowers one image's S_L lowers every image's
    otherwise, and a block is on for all of them or for none.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(in_channels)
        self.out_features = in_channels

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch channel"], RouterState]:
        """The normed input; the state passes through."""
        return self.norm(pooled), state


@dataclass(frozen=True, kw_only=True)
class PooledNormRouterConfig(RouterConfig):
    """The gate reads the pooled input on one scale."""

    name: ClassVar[str] = "pooled-norm"

    def build(self, in_channels: int, index: int) -> PooledNormRouter:
        """The router before any block: none has a predecessor."""
        return PooledNormRouter(in_channels)
