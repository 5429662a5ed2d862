"""What a network returns."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from dyncore.gating import ExecutionPath


@dataclass(frozen=True)
class Output:
    """Logits, the decisions that led to them, and what the routers saw."""

    logits: Float[Tensor, "batch classes"]
    path: ExecutionPath
    router_features: list[Tensor | None]
    """(B, d) per block; None where no router ran (static, not gated, or a forced path)."""
    pooled: list[Tensor | None]
    """(B, C) per block: its average-pooled input; None where no router ran."""
