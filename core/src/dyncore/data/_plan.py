"""Randomness and shares of an epoch as pure functions of integers.

Whatever is random is drawn for the global batch from a seed that is a mix of the run's seed, the
epoch and the position in it, and then sliced: so neither the number of processes or workers nor
an interruption changes what a network sees.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


def mix(*words: int | str) -> int:
    """Return a seed that depends on all of `words` and on nothing else."""
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=8).digest(), "big")


def generator(*words: int | str) -> torch.Generator:
    """Return a CPU generator that starts from `mix(*words)`."""
    return torch.Generator().manual_seed(mix(*words))


@dataclass(frozen=True)
class Share:
    """What one process reads of one global batch."""

    step: int
    """Number of the batch in its epoch."""
    whole: range
    """The batch's positions in the epoch's order."""
    part: range
    """Those of them that this process reads."""

    @property
    def within(self) -> slice:
        """The part, counted from the start of the batch."""
        return slice(self.part.start - self.whole.start, self.part.stop - self.whole.start)


@dataclass(frozen=True)
class EpochPlan:
    """What one process reads in an epoch, or in the rest of one."""

    seed: int
    epoch: int
    order: Int[Tensor, "row"]
    """The rows of the split, in the order in which the processes together read them; on the CPU."""
    shares: Sequence[Share]
