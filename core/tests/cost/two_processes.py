"""One process of a data-parallel step: ``RANK=r WORLD_SIZE=n python two_processes.py FOLDER``.

Writes the gradient of every loss, and the values that the processes must agree on, to FOLDER/r.pt.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from dyncore.cost import (
    BlockCost,
    CostTable,
    PathCost,
    execution_rate_loss,
    flops_ratio_loss,
    global_batch,
    global_mean,
)
from dyncore.gating import Choice, Decision, ExecutionPath

BATCH = 8
TABLE = CostTable(
    input_size=(3, 8, 8),
    static=100,
    stem=10,
    head=5,
    blocks=tuple(
        BlockCost(gated=True, router=0, shortcut=0, paths=(PathCost((a,)), PathCost((b,))))
        for a, b in ((3, 40), (25, 7))
    ),
)


def decide(scores: Tensor) -> ExecutionPath:
    weights = scores.sigmoid().split(2, dim=1)
    return ExecutionPath(tuple(Decision(Choice(weight > 0.5, weight)) for weight in weights))


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda scores: global_mean(scores.mean(0)).pow(3).sum(),
    "execution rate": lambda scores: execution_rate_loss(decide(scores), TABLE, 0.2),
    "FLOPs ratio": lambda scores: flops_ratio_loss(decide(scores), TABLE, 0.2),
    "batch": lambda scores: torch.cdist(global_batch(scores), global_batch(scores)).sin().sum(),
    "transposed batch": lambda scores: global_batch(scores.T.contiguous().T).prod(0).sum(),
}


def step(rank: int, processes: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Value and gradient of each loss on this process's share of the batch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    share = images.chunk(processes)[rank]
    results = {}
    for name, loss_of in LOSSES.items():
        loss = loss_of(share @ weight)
        results[name] = (loss.detach(), torch.autograd.grad(loss, weight)[0])
    return results


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes
    )
    torch.save(step(rank, processes), folder / f"{rank}.pt")
    dist.destroy_process_group()
