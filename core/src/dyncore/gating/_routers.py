"""Routers that more than one method uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._linear import InitialWeights, linear_layer
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
    features of different images are so alike that every image takes the same path. A norm takes
    b0 away again: it is left out then.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        *,
        norm: bool,
        initial_weights: InitialWeights = "torch",
        bias_before_norm: bool = False,
    ) -> None:
        super().__init__()
        bias = not norm or bias_before_norm
        self.align = linear_layer(in_channels, dim, bias=bias, initial_weights=initial_weights)
        self.norm = nn.BatchNorm1d(dim) if norm else nn.Identity()
        self.mix = linear_layer(dim, dim, bias=False, initial_weights=initial_weights)
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
    when_absent: ClassVar[Mapping[str, Any]] = {"initial_weights": "he", "bias_before_norm": True}
    dim: int = 256
    """Width d of the router feature."""
    norm: bool = True
    """Normalise the aligned features over the batch (not printed; the authors' code does)."""
    initial_weights: InitialWeights = "torch"
    """How its weights start: as torch makes them, or He-normal."""
    bias_before_norm: bool = False
    """A bias that the norm takes away again: in models that were saved before it was left out."""

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def build(self, in_channels: int, index: int) -> ShortRangeRouter:
        return ShortRangeRouter(
            in_channels,
            self.dim,
            norm=self.norm,
            initial_weights=self.initial_weights,
            bias_before_norm=self.bias_before_norm,
        )


class ContextRouter(Router):
    """``h_l = relu(norm(W1 pooled + b1)) + relu(W2 h_{l-1} + b2)`` (CDB Eq. 4–6, DMNN Eq. 5–7).

    The first router has no history term; its W2 is not created. The norm is ours; it takes b1 away
    again, which is left out then. W2 always starts at torch's smaller default: with He's, h grows
    from block to block, and deep gates start stuck.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        *,
        has_history: bool,
        norm: bool,
        initial_weights: InitialWeights = "torch",
        bias_before_norm: bool = False,
    ) -> None:
        super().__init__()
        bias = not norm or bias_before_norm
        self.context = linear_layer(in_channels, dim, bias=bias, initial_weights=initial_weights)
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
    when_absent: ClassVar[Mapping[str, Any]] = {
        "norm": True,
        "initial_weights": "he",
        "bias_before_norm": True,
    }
    dim: int = 32
    """Width d of the hidden feature."""
    previous: bool = True
    """Add the previous router's feature (the switch PREV of DMNN Table 4, CA of CDB Table 5)."""
    norm: bool = False
    """Normalise the embedded input over the batch (ours)."""
    initial_weights: InitialWeights = "torch"
    """How W1 starts: as torch makes it, or He-normal."""
    bias_before_norm: bool = False
    """A bias that the norm takes away again: in models that were saved before it was left out."""

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def build(self, in_channels: int, index: int) -> ContextRouter:
        return ContextRouter(
            in_channels,
            self.dim,
            has_history=self.previous and index > 0,
            norm=self.norm,
            initial_weights=self.initial_weights,
            bias_before_norm=self.bias_before_norm,
        )
