"""A step in several micro-batches."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dyncore.data import Batch
from dyncore.training._step import StepResult


def micro_batches(
    batch: Batch,
    noise: Float[Tensor, "batch total logit"] | None,
    on: Bool[Tensor, "batch total"] | None,
    count: int,
) -> Iterator[tuple[Batch, Tensor | None, Tensor | None]]:
    """``count`` equal parts of a batch, with their noise or forced paths."""
    size = len(batch.labels) // count
    for first in range(0, count * size, size):
        part = slice(first, first + size)
        yield (
            Batch(batch.images[part], batch.labels[part], batch.index[part]),
            None if noise is None else noise[part],
            None if on is None else on[part],
        )


def mean_result(results: Sequence[StepResult]) -> StepResult:
    """The result of a step from those of its micro-batches."""
    if len(results) == 1:
        return results[0]
    return StepResult(
        loss=torch.stack([result.loss.detach() for result in results]).mean(),
        terms={
            name: torch.stack([result.terms[name] for result in results]).mean()
            for name in results[0].terms
        },
        rate=torch.stack([result.rate for result in results]).mean(),
        macs_ratio=torch.stack([result.macs_ratio for result in results]).mean(),
        executed=torch.stack([result.executed for result in results]).mean(0),
    )
