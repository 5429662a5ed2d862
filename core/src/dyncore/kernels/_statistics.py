"""Batch norms that normalise by their batch, and the running statistics that they keep."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from dyncore.blocks import Norm
from dyncore.gating import is_plain


def fuses(norms: Iterable[nn.Module]) -> bool:
    """Whether all of ``norms`` now normalise by the statistics of this process's batch.

    Not so in evaluation, frozen, or synchronised; and not if calling one is more than torch's norm.
    """
    return all(
        norm.training
        and is_plain(norm, nn.BatchNorm2d)
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        for norm in norms
    )


@torch.no_grad()
def update_statistics(norms: Sequence[Norm], mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as ``nn.BatchNorm2d`` does: by the unbiased variance.

    ``mean`` and ``variance`` are of all norms one after the other, over ``count`` values each.
    """
    variance = variance * (count / max(1, count - 1))
    for norm, own_mean, own_variance in zip(
        norms, mean.chunk(len(norms)), variance.chunk(len(norms)), strict=True
    ):
        averages = ((norm.running_mean, own_mean), (norm.running_var, own_variance))
        for running, own in averages:
            running.lerp_(own.to(running.dtype), norm.momentum)  # type: ignore[union-attr, arg-type]
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]


def affine(norms: Sequence[Norm]) -> tuple[Tensor, Tensor]:
    """Scales and shifts of ``norms``, one after the other."""
    if len(norms) == 1:
        return norms[0].weight, norms[0].bias
    return torch.cat([norm.weight for norm in norms]), torch.cat([norm.bias for norm in norms])


def normalise(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normed by its own statistics; their mean and inverse standard deviation."""
    return torch.native_batch_norm(x, scale, shift, None, None, True, 0.0, eps)


def follow(norms: Sequence[Norm], x: Tensor, mean: Tensor, inverse_std: Tensor) -> None:
    """Update the statistics of ``norms`` by what :func:`normalise` found in ``x``."""
    update_statistics(norms, mean, inverse_std.pow(-2) - norms[0].eps, x.numel() // x.shape[1])
