"""Budget losses: they pull the mean cost to a target."""

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cost._global_batch import global_mean
from dyncore.cost._table import CostTable
from dyncore.gating import ExecutionPath


def execution_rate_loss(
    path: ExecutionPath, table: CostTable, target: float, tolerance: float = 0.0
) -> Float[Tensor, ""]:
    """``Σ_l (z_l - target)²`` over gated blocks, z_l the mean weight over batch and paths.

    CDB Eq. 10–11, DMNN Eq. 11–12 (e), RDI-Net Eq. 15 and SP-Net section 4.3 (t). The mean is over
    the global batch. With a ``tolerance`` (ours), a rate costs only what it is further away than
    that.
    """
    means = [
        decision.weight.mean()
        for decision, block in zip(path, table.blocks, strict=True)
        if block.gated
    ]
    rates = global_mean(torch.stack(means))
    return ((rates - target).abs() - tolerance).relu().square().sum()


def flops_ratio_loss(path: ExecutionPath, table: CostTable, target: float) -> Float[Tensor, ""]:
    """``(f / f_total - target)²``, both over gated paths only (CDB Eq. 12–13, DMNN Eq. 13–14).

    f is the mean over the global batch. The ratio of MACs is the ratio of FLOPs.
    """
    ratio = global_mean(table.expected_gated(path).mean()) / table.gated
    return (ratio - target).square()
