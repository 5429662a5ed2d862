"""Memory of one batch in a compiled network: what its routers read, remember and decide."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from dyncore.engine.native import _structs as structs
from dyncore.engine.native._packing import Maps, Store, pointers
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
    head: int
    """Of a compiled head, for averages and logits."""


class Layout:
    """What all calls with so many images share: where what routers read and decide lies.

    Numbers (averages, features, weights of paths, of channels), then, as bytes, which paths and
    channels are on; for one image all of it once per thread.
    """

    def __init__(
        self,
        widths: Widths,
        images: int,
        maps: Sequence[tuple[Maps, Tensor]],
        store: Store,
        *,
        forced: bool,
    ) -> None:
        """``forced``: decisions are given."""
        self.images, self.forced, self.dtype = images, forced, store.dtype
        kinds = (widths.pooled, widths.features, widths.paths, widths.channels)
        self.sizes = [images * rows.total for rows in kinds]
        self.numbers, self.flags = sum(self.sizes), sum(self.sizes[2:])
        size = store.dtype.itemsize
        filled = -(-(self.numbers + -(-self.flags // size)) // CACHE_LINES) * CACHE_LINES
        self.shape = (store.threads if images == 1 else 1, filled)

        rows = -(-images // store.threads)
        scratch = store.empty(store.threads, 2 * rows * widths.widest)
        shared = store.empty(2, widths.widest)
        averages = store.empty(images, widths.head)
        scratches = pointers(scratch)
        starts = (ctypes.c_void_p * len(maps))(*(each.start(x) for each, x in maps))
        self._pointed_to = scratch, shared, averages, scratches, starts, maps

        pooled, features, paths, _ = self.sizes
        self.batches = (structs.Batch * self.shape[0])()
        for copy in range(len(self.batches)):
            first = copy * filled
            flags = (first + self.numbers) * size
            self.batches[copy] = structs.Batch(
                maps=ctypes.addressof(starts),
                pooled_at=first,
                feature_at=first + pooled,
                weight_at=first + pooled + features,
                channel_weight_at=first + pooled + features + paths,
                on_at=flags,
                channel_on_at=flags + paths,
                scratch=ctypes.addressof(scratches),
                shared=shared.data_ptr() if len(self.batches) > 1 else None,
                shared_size=widths.widest,
                averages=averages.data_ptr(),
                images=images,
                forced=forced,
            )
        self.address = ctypes.addressof(self.batches)


class Memory:
    """What routers read, remember and decide in one call, not initialised."""

    def __init__(self, layout: Layout) -> None:
        self.images = layout.images
        self._layout = layout
        self._buffer = torch.empty(layout.shape, dtype=layout.dtype, device="cpu")
        self.address = self._buffer.data_ptr()

    @property
    def pooled(self) -> Tensor:
        """See :class:`Output`."""
        return self._numbers()[0][0]

    @property
    def features(self) -> Tensor:
        """See :class:`Output`."""
        return self._numbers()[1][0]

    @property
    def decided(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``on``, ``weight``, ``channel_on`` and ``channel_weight`` of all decisions."""
        on, channel_on = (kind[0] for kind in self._flags())
        _, _, weight, channel_weight = (kind[0] for kind in self._numbers())
        return on, weight, channel_on, channel_weight

    @torch.no_grad()
    def force(self, decisions: Sequence[Decision]) -> None:
        """Take the ``decisions`` of gated blocks in place of what routers would write here."""
        (on, channel_on), (_, _, weight, channel_weight) = self._flags(), self._numbers()
        chosen = [decision.paths for decision in decisions]
        channels = [decision.channels for decision in decisions if decision.channels is not None]
        for buffer, given in (
            (on, [choice.on for choice in chosen]),
            (weight, [choice.weight for choice in chosen]),
            (channel_on, [choice.on for choice in channels]),
            (channel_weight, [choice.weight for choice in channels]),
        ):
            parts = groupby(given, Tensor.size)
            if alike := [torch.cat(list(part)).flatten() for _, part in parts]:
                buffer.copy_(torch.cat(alike))

    def _numbers(self) -> tuple[Tensor, ...]:
        return self._buffer[:, : self._layout.numbers].split(self._layout.sizes, 1)

    def _flags(self) -> tuple[Tensor, ...]:
        flags = self._buffer[:, self._layout.numbers :].view(torch.bool)
        return flags[:, : self._layout.flags].split(self._layout.sizes[2:], 1)
