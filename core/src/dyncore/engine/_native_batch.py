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


class Rows:
    """So many numbers of every image for each router; a batch's lie together, router by router."""

    def __init__(self, widths: Sequence[int], shown: int | None = None) -> None:
        """``shown``: how many of a row's numbers mean something; None: all."""
        self.total = sum(widths)
        self._shown = shown
        self._alike = [(width, len(list(same))) for width, same in groupby(widths)]

    def empty(self, images: int, dtype: torch.dtype) -> Tensor:
        """For a batch."""
        return torch.empty(images * self.total, dtype=dtype)

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
    scratch: int
    """Of a router's widest layer."""

    def memory(self, images: int, threads: int, dtype: torch.dtype) -> "Memory":
        """Of a batch of so many ``images``, not initialised."""
        return Memory(
            images,
            self.pooled.empty(images, dtype),
            self.features.empty(images, dtype),
            self.paths.empty(images, torch.bool),
            self.paths.empty(images, dtype),
            self.channels.empty(images, torch.bool),
            self.channels.empty(images, dtype),
            torch.empty(threads, 2 * -(-images // threads) * self.scratch, dtype=dtype),
        )


@dataclass(frozen=True)
class Memory:
    """Buffers of :class:`Widths`."""

    images: int
    pooled: Tensor
    features: Tensor
    on: Tensor
    weight: Tensor
    channel_on: Tensor
    channel_weight: Tensor
    scratch: Tensor

    def force(self, decisions: Sequence[Decision]) -> None:
        """Take the ``decisions`` of gated blocks in place of what routers would write here."""
        for name in ("on", "weight", "channel_on", "channel_weight"):
            buffer = getattr(self, name)
            parts = [getattr(decision, name) for decision in decisions]
            given = [part.flatten().to(buffer.dtype) for part in parts if part is not None]
            if given:
                torch.cat(given, out=buffer)

    def batch(self, maps: Sequence[int], *, forced: bool = False) -> tuple[Batch, object]:
        """As compiled code takes it, with the addresses of ``maps``; and what it must outlive."""
        starts = (ctypes.c_void_p * len(maps))(*maps)
        of_threads = pointers(self.scratch)
        batch = Batch(
            ctypes.addressof(starts),
            self.pooled.data_ptr(),
            self.features.data_ptr(),
            self.weight.data_ptr(),
            self.channel_weight.data_ptr(),
            self.on.data_ptr(),
            self.channel_on.data_ptr(),
            ctypes.addressof(of_threads),
            self.images,
            int(forced),
        )
        return batch, (starts, of_threads)
