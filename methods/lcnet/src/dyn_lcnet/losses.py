"""What holds LC-Net's saliences down: an L1 term (section 4.3), and a budget (ours)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dyncore.cost import CostTable, flops_ratio_loss
from dyncore.data import Batch
from dyncore.gating import Decision, ExecutionPath
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import ObjectiveConfig, ObjectivePart


def salience_l1(path: ExecutionPath, table: CostTable) -> Float[Tensor, ""]:
    """``Σ_blocks mean over images of Σ |S|`` over gated blocks (section 4.3).

    S are the weights of a block, S_L, and of its gated channels, S_C. A weight that is 1 for
    every image adds a constant.
    """
    sums = [
        weight.abs().sum(1).mean()
        for decision, block in zip(path, table.blocks, strict=True)
        if block.gated
        for weight in (decision.weight, decision.channel_weight)
        if weight is not None
    ]
    return torch.stack(sums).sum()


def executed(path: ExecutionPath) -> ExecutionPath:
    """The same decisions weighted as they are executed: 0 or 1, with the gradient of the salience.

    A salience scales what it keeps, so ``CostTable.expected`` of saliences is no cost: all of
    them at 0.7 look cheap, and everything runs. Of these weights it is ``CostTable.macs``.
    """
    return ExecutionPath(tuple(_executed(decision) for decision in path))


def _executed(decision: Decision) -> Decision:
    weight = _straight_through(decision.on, decision.weight)
    if decision.channel_on is None or decision.channel_weight is None:
        return replace(decision, weight=weight)
    channel_weight = _straight_through(decision.channel_on, decision.channel_weight)
    return replace(decision, weight=weight, channel_weight=channel_weight)


def _straight_through(
    on: Bool[Tensor, "batch score"], weight: Float[Tensor, "batch score"]
) -> Float[Tensor, "batch score"]:
    return on.to(weight.dtype) + (weight - weight.detach())


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
        _check_weight(self.weight)

    def build(self, model: DynamicNetwork, table: CostTable) -> SalienceL1:
        """The part; of the costs it reads which blocks are gated."""
        return SalienceL1(table, self.weight)


class ExecutedFlops(ObjectivePart):
    """See :func:`dyncore.cost.flops_ratio_loss` and :func:`executed`."""

    def __init__(self, table: CostTable, target: float, weight: float) -> None:
        super().__init__()
        self.table = table
        self.target = target
        self.weight = weight

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The term ``flops``: sequential accounting, mean over the global batch."""
        loss = flops_ratio_loss(executed(output.path), self.table, self.target)
        return {"flops": self.weight * loss}


@dataclass(frozen=True, kw_only=True)
class ExecutedFlopsConfig(ObjectiveConfig):
    """Pull the executed share of all gated MACs to a target (ours)."""

    name: ClassVar[str] = "executed-flops"
    target: float
    """Target ratio of executed over all gated MACs."""
    weight: float = 1.0
    """Weight of the term."""

    def __post_init__(self) -> None:
        if not 0 <= self.target <= 1:
            raise ValueError(f"target must be in [0, 1], not {self.target}")
        _check_weight(self.weight)

    def build(self, model: DynamicNetwork, table: CostTable) -> ExecutedFlops:
        """The part for costs at the training size."""
        return ExecutedFlops(table, self.target, self.weight)


def _check_weight(value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"weight must be finite and not negative, not {value}")
