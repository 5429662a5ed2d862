"""Feature evolution: features should go on in the direction they have taken (section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dyn_spnet.exits import StageExits, pooled_end
from dyncore.network import Output

Strategy = Literal["stages", "resolution", "blocks"]

STANDSTILL = 1e-4
"""Length below which a change of features counts less than its direction; bounds the gradient."""


@dataclass(frozen=True, kw_only=True)
class EvolutionConfig:
    """Smooth the direction in which features evolve."""

    strategy: Strategy = "stages"
    """Compare the ends of stages, of the blocks of one resolution, or of all blocks (Table 5)."""
    weight: float = 1e-4
    """Weight γ of the term."""

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise ValueError(f"strategy must be one of {get_args(Strategy)}, not {self.strategy!r}")
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"weight must be finite and not negative, not {self.weight}")


def evolution_loss(features: Float[Tensor, "step batch feature"]) -> Float[Tensor, ""]:
    """``½ Σ_m (1 - cos(x_{m+2} - x_{m+1}, x_{m+1} - x_m))``, mean over the batch (Eq. 9, 10).

    Fewer than three steps have no angle, so they cost nothing.
    """
    directions = features.diff(dim=0)
    cosines = F.cosine_similarity(directions[1:], directions[:-1], dim=2, eps=STANDSTILL)
    return (1 - cosines).sum(0).mean() / 2


def feature_chains(
    output: Output, strategy: Strategy, stages: Sequence[Sequence[int]], exits: StageExits
) -> list[Float[Tensor, "step batch feature"]]:
    """The pooled features whose directions are compared, chain by chain (Table 5).

    ``stages`` (EXP-3): one chain, of the ends of the stages. ``resolution`` (EXP-2): a chain per
    stage, of the ends of its blocks. ``blocks`` (EXP-1): one chain, of the ends of all blocks.
    Where a chain runs through several stages, the exits' a_k align their widths.
    """
    chosen = [stage[-1:] for stage in stages] if strategy == "stages" else stages
    groups = [torch.stack([pooled_end(output, block) for block in blocks]) for blocks in chosen]
    if strategy == "resolution":
        return groups
    aligned = [align(group) for align, group in zip(exits.align, groups[:-1], strict=True)]
    return [torch.cat([*aligned, groups[-1]])]
