"""Memory of one batch in a compiled network: what its routers read, remember and decide."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from dyncore.engine._compiled import Batch
from dyncore.engine._packing import pointers
from dyncore.gating import Decision

CACHE_LINES = 128
"""Numbers that fill cache lines which no two threads should write to."""


class Rows:
    """So many numbers of every image for each router; a batch's lie together, router by router."""

    def __init__(self, widths: Sequence[int], shown: int | None = None) -> None:
        """``shown``: how many of a row's numbers mean something; None: all."""
        self.total = sum(widths)
        self._shown = shown
        self._alike = [(width, len(list(same))) for width, same in groupby(widths)]

    def split(self, buffer: Tensor, images: int) -> list[Tensor]:
        """(images, width) of each router."""
        parts = buffer.split([images * width * count for width, count in self._alike])
        return [
            rows
            for part, (width, count) in zip(parts, self._alike, strict=True)
            for rows in part.view(count, images, width)[:, :, : self._shown].unbind(0)
        ]


@dataclass(frozen=True)
class Widths:
    """How many numbers of each kind the routers and gates of a network have per image."""

    pooled: Rows
    features: Rows
    paths: Rows
    channels: Rows
    widest: int
    """Of a router's layers."""


class Scratch:
    """What routers need while they run, as large as it was ever needed."""

    def __init__(self, widths: Widths, threads: int, dtype: torch.dtype) -> None:
        self.widest = widths.widest
        self.shared = torch.empty(2, widths.widest, dtype=dtype, device="cpu")
        self._rows = torch.empty(threads, 0, dtype=dtype, device="cpu")
        self.starts = pointers(self._rows)

    def reserve(self, images: int) -> None:
        """For a batch of so many: two rows for each image of a thread."""
        threads = len(self._rows)
        needed = 2 * -(-images // threads) * self.widest
        if self._rows.shape[1] < needed:
            self._rows = self._rows.new_empty(threads, needed)
            self.starts = pointers(self._rows)


class Memory:
    """Buffers of :class:`Widths` for one batch, not initialised; once per thread for one image."""

    def __init__(self, widths: Widths, images: int, threads: int, dtype: torch.dtype) -> None:
        self.images = images
        self._copies = threads if images == 1 else 1
        kinds = (widths.pooled, widths.features, widths.paths, widths.channels)
        self._sizes = [images * rows.total for rows in kinds]
        numbers, flags = sum(self._sizes), sum(self._sizes[2:])
        self._numbers = torch.empty(self._copies, _apart(numbers), dtype=dtype, device="cpu")
        self._flags = torch.empty(self._copies, _apart(flags), dtype=torch.bool, device="cpu")

    @property
    def pooled(self) -> Tensor:
        """See :class:`Output`."""
        return self._all_numbers()[0][0]

    @property
    def features(self) -> Tensor:
        """See :class:`Output`."""
        return self._all_numbers()[1][0]

    @property
    def decided(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``on``, ``weight``, ``channel_on`` and ``channel_weight`` of all decisions."""
        on, channel_on = (kind[0] for kind in self._all_flags())
        _, _, weight, channel_weight = (kind[0] for kind in self._all_numbers())
        return on, weight, channel_on, channel_weight

    def force(self, decisions: Sequence[Decision]) -> None:
        """Take the ``decisions`` of gated blocks in place of what routers would write here."""
        (on, channel_on), (_, _, weight, channel_weight) = self._all_flags(), self._all_numbers()
        for name, buffer in (
            ("on", on),
            ("weight", weight),
            ("channel_on", channel_on),
            ("channel_weight", channel_weight),
        ):
            parts = [getattr(decision, name) for decision in decisions]
            given = [part.flatten().to(buffer.dtype) for part in parts if part is not None]
            if given:
                buffer.copy_(torch.cat(given))

    def batches(
        self, maps: Sequence[int], scratch: Scratch, *, forced: bool = False
    ) -> tuple[ctypes.Array[Batch], object]:
        """As compiled code takes them, with addresses of ``maps``; and what they must outlive."""
        starts = (ctypes.c_void_p * len(maps))(*maps)
        batches = (Batch * self._copies)()
        scratch.reserve(self.images)
        pooled, features, paths, _ = self._sizes
        size = self._numbers.element_size()
        for copy, batch in enumerate(batches):
            numbers = self._numbers.data_ptr() + copy * self._numbers.stride(0) * size
            flags = self._flags.data_ptr() + copy * self._flags.stride(0)
            batch.maps = ctypes.addressof(starts)
            batch.pooled = numbers
            batch.feature = numbers + pooled * size
            batch.weight = numbers + (pooled + features) * size
            batch.channel_weight = numbers + (pooled + features + paths) * size
            batch.on = flags
            batch.channel_on = flags + paths
            batch.scratch = ctypes.addressof(scratch.starts)
            batch.shared = scratch.shared.data_ptr() if self._copies > 1 else None
            batch.shared_size = scratch.widest
            batch.images = self.images
            batch.forced = forced
        return batches, (starts, scratch.starts)

    def _all_numbers(self) -> tuple[Tensor, ...]:
        return self._numbers[:, : sum(self._sizes)].split(self._sizes, 1)

    def _all_flags(self) -> tuple[Tensor, ...]:
        return self._flags[:, : sum(self._sizes[2:])].split(self._sizes[2:], 1)


def _apart(numbers: int) -> int:
    return -(-numbers // CACHE_LINES) * CACHE_LINES
