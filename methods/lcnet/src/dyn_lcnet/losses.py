"""What pulls LC-Net's saliences to zero: an L1 term (section 4.3)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.data import Batch
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import ObjectiveConfig, ObjectivePart


def salience_l1(path: ExecutionPath, table: CostTable) -> Float[Tensor, ""]:
    """``Σ_blocks mean over images of Σ |S|`` over gated blocks (section 4.3).

    S are the weights of a block, S_L, and of its gated channels, S_C. A weight that is 1 for
    every image adds a constant.
    """
    sums = [
        choice.weight.abs().sum(1).mean()
        for decision, block in zip(path, table.blocks, strict=True)
        if block.gated
        for choice in decision.choices
    ]
    return torch.stack(sums).sum()


class SalienceL1(ObjectivePart):
    """See :func:`salience_l1`."""

    def __init__(self, table: CostTable, weight: float) -> None:
        super().__init__()
        self.table = table
        self.weight = weight

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The term ``l1``; reads the (leaky) saliences."""
        return {"l1": self.weight * salience_l1(output.path, self.table)}


@dataclass(frozen=True, kw_only=True)
class SalienceL1Config(ObjectiveConfig):
    """Pull saliences to zero, for a pre-trained backbone (section 4.3)."""

    name: ClassVar[str] = "salience-l1"
    weight: float
    """Weight of the term; the paper prints none."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"weight must be finite and not negative, not {self.weight}")

    def build(self, model: DynamicNetwork, table: CostTable) -> SalienceL1:
        """The part; of the costs it reads which blocks are gated."""
        return SalienceL1(table, self.weight)
