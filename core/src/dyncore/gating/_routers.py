"""Routers that more than one method uses."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._linear import he_linear
from dyncore.gating._router import Router, RouterConfig
from dyncore.gating._weights import Affine, RouterState, RouterWeights


def _check_dim(dim: int) -> None:
    if dim < 1:
        raise ValueError(f"dim must be at least 1, not {dim}")


class IdentityRouter(Router):
    """The pooled input itself (LC-Net, section 3)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_features = in_channels

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch channel"], RouterState]:
        return pooled, state

    def as_weights(self) -> RouterWeights | None:
        """See :meth:`Router.as_weights`."""
        return RouterWeights()


@dataclass(frozen=True, kw_only=True)
class IdentityRouterConfig(RouterConfig):
    """The gate reads the pooled input directly."""

    name: ClassVar[str] = "identity"

    def build(self, in_channels: int, index: int) -> IdentityRouter:
        return IdentityRouter(in_channels)


class ShortRangeRouter(Router):
    """``s = relu(W1 relu(norm(W0 pooled + b0)))``, with no history.

    This is RDI-Net's router (Eq. 5–7) without relations, the "vanilla" baseline of RDI-Net and
    SP-Net. The norm is not printed; the authors' public code has it. Without it the pooled
    features of different images are so alike that every image takes the same path.
    """

    def __init__(self, in_channels: int, dim: int, *, norm: bool) -> None:
        super().__init__()
        self.align = he_linear(in_channels, dim)
        self.norm = nn.BatchNorm1d(dim) if norm else nn.Identity()
        self.mix = he_linear(dim, dim, bias=False)
        self.out_features = dim

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch feature"], RouterState]:
        return F.relu(self.mix(F.relu(self.norm(self.align(pooled))))), state

    def as_weights(self) -> RouterWeights | None:
        """See :meth:`Router.as_weights`."""
        align, mix = Affine.of(self.align, self.norm), Affine.of(self.mix)
        return None if align is None or mix is None else RouterWeights(align=align, mix=mix)


@dataclass(frozen=True, kw_only=True)
class ShortRangeRouterConfig(RouterConfig):
    """Decides from the block's own input only."""

    name: ClassVar[str] = "short-range"
    dim: int = 256
    """Width d of the router feature."""
    norm: bool = True
    """Normalise the aligned features over the batch (not printed; the authors' code does)."""

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def build(self, in_channels: int, index: int) -> ShortRangeRouter:
        return ShortRangeRouter(in_channels, self.dim, norm=self.norm)


class ContextRouter(Router):
    """``h_l = relu(norm(W1 pooled + b1)) + relu(W2 h_{l-1} + b2)`` (CDB Eq. 4–6, DMNN Eq. 5–7).

    The first router has no history term; its W2 is not created. The norm is ours. W2 starts at
    torch's smaller default: at He's, h grows from block to block, and deep gates start stuck.
    """

    def __init__(self, in_channels: int, dim: int, *, has_history: bool, norm: bool) -> None:
        super().__init__()
        self.context = he_linear(in_channels, dim)
        self.norm = nn.BatchNorm1d(dim) if norm else nn.Identity()
        self.history = nn.Linear(dim, dim) if has_history else None
        self.out_features = dim

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch feature"], RouterState]:
        feature = F.relu(self.norm(self.context(pooled)))
        if self.history is not None:
            feature = feature + F.relu(self.history(state[0]))
        return feature, (feature,)

    def as_weights(self) -> RouterWeights | None:
        """See :meth:`Router.as_weights`."""
        align = Affine.of(self.context, self.norm)
        history = None if self.history is None else Affine.of(self.history)
        if align is None or (history is None and self.history is not None):
            return None
        return RouterWeights(align=align, history=history, memory=1)


@dataclass(frozen=True, kw_only=True)
class ContextRouterConfig(RouterConfig):
    """The context controller of CDB and DMNN."""

    name: ClassVar[str] = "context"
    dim: int = 32
    """Width d of the hidden feature."""
    previous: bool = True
    """Add the previous router's feature (the switch PREV of DMNN Table 4, CA of CDB Table 5)."""
    norm: bool = True
    """Normalise the embedded input over the batch (ours)."""

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def build(self, in_channels: int, index: int) -> ContextRouter:
        has_history = self.previous and index > 0
        return ContextRouter(in_channels, self.dim, has_history=has_history, norm=self.norm)
