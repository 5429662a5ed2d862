"""Few paths: a router that chooses once, among K."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._decision import straight_through
from dyncore.gating._router import Router, RouterConfig
from dyncore.gating._weights import RouterState


class CodebookRouter(Router):
    """One of K codes per image, chosen at one block, which all later routers hand on.

    The feature is the code as a one-hot vector, so a gate's linear head holds, for every code, the
    logits of its block: K learned paths. In training the one-hot has the softmax's gradient. Logits
    are normalised over the batch, so that no code wins for all images. Before the block that
    chooses the feature is 0, and gates decide alike for every image, by their biases.
    """

    def __init__(self, in_channels: int, size: int, dim: int, *, chooses: bool) -> None:
        super().__init__()
        self.out_features = size
        self.choice: nn.Sequential | None = None
        if chooses:
            self.choice = nn.Sequential(
                nn.Linear(in_channels, dim, bias=False),
                nn.BatchNorm1d(dim),
                nn.ReLU(),
                nn.Linear(dim, size, bias=False),
                nn.BatchNorm1d(size, affine=False),
            )

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch code"], RouterState]:
        if state:
            return state[0], state
        if self.choice is None:
            return pooled.new_zeros(len(pooled), self.out_features), state
        probability = self.choice(pooled).softmax(1)
        chosen = F.one_hot(probability.argmax(1), self.out_features)
        grad = torch.is_grad_enabled()
        code = straight_through(chosen, probability) if grad else chosen.to(probability.dtype)
        return code, (code,)


@dataclass(frozen=True, kw_only=True)
class CodebookRouterConfig(RouterConfig):
    """Chooses one of K learned paths per image (ours)."""

    name: ClassVar[str] = "codebook"
    size: int = 4
    """Number K of codes."""
    dim: int = 16
    """Width of the hidden layer that chooses."""
    chosen_at: int = 0
    """Which gated block's router chooses, counted from 0."""

    def __post_init__(self) -> None:
        for name, least in (("size", 2), ("dim", 1), ("chosen_at", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")

    def build(self, in_channels: int, index: int) -> CodebookRouter:
        chooses = index == self.chosen_at
        return CodebookRouter(in_channels, self.size, self.dim, chooses=chooses)
