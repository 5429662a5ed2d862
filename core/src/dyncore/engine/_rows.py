"""Some images of a channels-last batch: views where they are neighbours, else copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chunking:
    """How many images one convolution gets, and how they come together."""

    limit: int
    """Most images at once."""
    gather: bool
    """Copy scattered images together; off: only neighbours run together, in place."""

    def chunks(self, rows: Sequence[int]) -> Iterator[slice | Tensor]:
        """``rows``, ascending, in portions: a slice for neighbours, else a tensor of indices."""
        if self.gather:
            for first in range(0, len(rows), self.limit):
                part = rows[first : first + self.limit]
                if part[-1] - part[0] + 1 == len(part):
                    yield slice(part[0], part[-1] + 1)
                else:
                    yield torch.tensor(part)
            return
        first = last = rows[0]
        for row in rows[1:]:
            if row > last + 1 or row >= first + self.limit:
                yield slice(first, last + 1)
                first = row
            last = row
        yield slice(first, last + 1)


def take(x: Tensor, rows: Tensor) -> Tensor:
    """A copy of some images, channels-last: ``x.index_select(0, rows)`` would not be."""
    return x.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)


def put_(x: Tensor, rows: Tensor, values: Tensor) -> None:
    """``x[rows] = values`` for channels-last tensors."""
    x.permute(0, 2, 3, 1).index_copy_(0, rows, values.permute(0, 2, 3, 1))
