"""Statistics of the global batch, the same in one process and in many."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def global_mean(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Mean over the processes of ``x``, this process's mean over its share of the batch.

    The gradient flows into this process's ``x`` with factor 1: data-parallel training then
    averages the gradients over processes, which gives what one process would compute.
    """
    processes = _processes()
    if processes == 1:
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return x + (total / processes - x).detach()


def global_batch(x: Float[Tensor, "local *shape"]) -> Float[Tensor, "batch *shape"]:
    """The processes' shares of the batch in the order of their ranks.

    For losses that every process computes over the whole batch. The gradient into this process's
    share is multiplied by the number of processes, because data-parallel training divides by it.
    """
    processes = _processes()
    if processes == 1:
        return x
    shares = [torch.empty_like(x) for _ in range(processes)]
    dist.all_gather(shares, x.detach().contiguous())
    shares[dist.get_rank()] = processes * x - (processes - 1) * x.detach()
    return torch.cat(shares)
