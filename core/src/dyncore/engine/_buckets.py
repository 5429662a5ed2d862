"""Some images in the next of a few batch sizes, so that what runs can be captured once per size."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from dyncore.engine._path import FoldedPath, ModulePath, add_all_

MOST = 128
"""Most images of one capture."""

Run: TypeAlias = Callable[[], None]


def bucket(images: int) -> int:
    """The batch size for ``images``: as many up to 4, else the next in steps of 4, 8 and 16."""
    step = next(step for most, step in ((4, 1), (32, 4), (64, 8), (images, 16)) if images <= most)
    return -(-images // step) * step


class Buckets:
    """Paths of a block as captures that read and write buffers of their own.

    Images of one shape share buffers, whichever block they are of; rows that a batch does not fill
    hold what was there before, and nobody reads what becomes of them.
    """

    def __init__(self, capture: Callable[[Run], Run]) -> None:
        """``capture`` gives what repeats a run on the same memory."""
        self._capture = capture
        self._buffers: dict[tuple[object, ...], Tensor] = {}
        self._captures: dict[tuple[object, ...], Run] = {}

    def add_all_(
        self, paths: Sequence[FoldedPath | ModulePath], total: Tensor, x: Tensor, *, relu: bool
    ) -> None:
        """``total ← total + Σ path(x)``, then a ReLU if asked for. ``total`` may be ``x``.

        At most ``MOST`` images. What is not made of convolutions runs as it is.
        """
        if not all(isinstance(path, FoldedPath) for path in paths):
            add_all_(paths, total, x, relu=relu)
            return
        images, size = len(x), bucket(len(x))
        in_place = total.data_ptr() == x.data_ptr()
        given = self._buffer("x", x)[:size]
        sums = given if in_place else self._buffer("total", total)[:size]
        key = (id(paths), size, in_place, relu)
        if key not in self._captures:
            self._captures[key] = self._capture(lambda: add_all_(paths, sums, given, relu=relu))
        given[:images].copy_(x)
        if not in_place:
            sums[:images].copy_(total)
        self._captures[key]()
        total.copy_(sums[:images])

    def _buffer(self, role: str, x: Tensor) -> Tensor:
        key = (role, x.shape[1:], x.dtype, x.device)
        if key not in self._buffers:
            zeros = x.new_zeros(MOST, *x.shape[1:])
            self._buffers[key] = zeros.contiguous(memory_format=torch.channels_last)
        return self._buffers[key]
