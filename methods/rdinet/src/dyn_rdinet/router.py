"""The relational router: a router that sees the features of earlier ones (section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating import (
    Affine,
    InitialWeights,
    Router,
    RouterConfig,
    RouterState,
    RouterWeights,
    is_plain,
    linear_layer,
)

Edges = Literal["decay", "cosine"]


class DecayEdges(nn.Module):
    """The effect of a router falls by γ per router: ``γ^k, …, γ, 1`` (Eq. 4), with 0⁰ = 1."""

    powers: Tensor

    def __init__(self, history: int, decay: float) -> None:
        super().__init__()
        powers = torch.tensor([decay**distance for distance in range(history, -1, -1)])
        self.register_buffer("powers", powers, persistent=False)

    def forward(self, features: Float[Tensor, "batch node feature"]) -> Float[Tensor, "node"]:
        """Edges into the last node from every node, oldest first; its own is 1."""
        return self.powers[-features.shape[1] :]


class CosineEdges(nn.Module):
    """The effect of a router is its feature's cosine similarity to the last one ("Auto").

    Gradients flow through both features. The similarity to a feature of zeros is 0.
    """

    def forward(self, features: Float[Tensor, "batch node feature"]) -> Float[Tensor, "batch node"]:
        """Edges into the last node from every node, oldest first; its own is 1 (of zeros: 0)."""
        return F.cosine_similarity(features, features[:, -1:], dim=2)


class RelationalRouter(Router):
    """``s_n = relu((Σ_m A_mn S_n[m]) W1)`` with ``S_n = (s_{n-r}, …, s_{n-1}, s̃_n)`` (Eq. 5–7).

    ``s̃_n = relu(norm(W0 pooled + b0))`` aligns the widths of the blocks; A holds the edges into
    this router. The norm is not printed; the authors' public code has it, and it takes b0 away
    again, which is left out then. A router with fewer than r predecessors sees those that exist,
    the first one none. The state is the last r features s, newest last. Without history or with
    γ = 0 this is :class:`dyncore.gating.ShortRangeRouter`, whose parameter names it shares.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        history: int,
        edges: nn.Module,
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
        self.edges = edges
        self.history = history
        self.out_features = dim

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch feature"], RouterState]:
        """Feature s_n (B, d), and the last r features including it."""
        aggregated = F.relu(self.norm(self.align(pooled)))
        if state:
            features = torch.stack((*state, aggregated), dim=1)
            # Not a matrix product: the cost table counts those, and this is no layer.
            aggregated = (self.edges(features)[..., None] * features).sum(1)
        feature = F.relu(self.mix(aggregated))
        forgotten = max(0, len(state) + 1 - self.history)
        return feature, (*state, feature)[forgotten:]

    def as_weights(self) -> RouterWeights | None:
        """See :meth:`dyncore.gating.Router.as_weights`."""
        align, mix = Affine.of(self.align, self.norm), Affine.of(self.mix)
        if align is None or mix is None or not is_plain(self.edges, DecayEdges):
            return None
        decays = tuple(self.edges.powers.flip(0)[1:].tolist())
        return RouterWeights(align=align, decays=decays, mix=mix, memory=self.history)


@dataclass(frozen=True, kw_only=True)
class RelationalRouterConfig(RouterConfig):
    """Decides from the block's input and from what the last routers saw."""

    name: ClassVar[str] = "relational"
    when_absent: ClassVar[Mapping[str, Any]] = {"initial_weights": "he", "bias_before_norm": True}
    dim: int = 256
    """Width d of the router feature."""
    history: int = 6
    """Number r of earlier routers whose features are aggregated; 0: none."""
    decay: float = 0.5
    """Rate γ at which the effect of a router decays with distance; read by ``edges="decay"``."""
    edges: Edges = "decay"
    """How much an earlier router counts: γ^distance, or cosine similarity ("Auto" of Table 3)."""
    norm: bool = True
    """Normalise the aligned features over the batch (not printed; the authors' code does)."""
    initial_weights: InitialWeights = "torch"
    """How its weights start: as torch makes them, or He-normal."""
    bias_before_norm: bool = False
    """A bias that the norm takes away again: in models that were saved before it was left out."""

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"dim must be at least 1, not {self.dim}")
        if self.history < 0:
            raise ValueError(f"history must be at least 0 routers, not {self.history}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay must be in [0, 1], not {self.decay}")

    def build(self, in_channels: int, index: int) -> RelationalRouter:
        """The router of a block; how many predecessors it has, it learns from its state."""
        edges = CosineEdges() if self.edges == "cosine" else DecayEdges(self.history, self.decay)
        return RelationalRouter(
            in_channels,
            self.dim,
            self.history,
            edges,
            norm=self.norm,
            initial_weights=self.initial_weights,
            bias_before_norm=self.bias_before_norm,
        )
