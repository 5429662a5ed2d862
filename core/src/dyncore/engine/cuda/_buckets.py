"""Some images in the next of a few batch sizes, so that a path can be captured once per size."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from dyncore.blocks import Path
from dyncore.engine.plan import FoldedPath

MAX_GRAPH_BATCH = 128
"""Most images of one capture."""

Run: TypeAlias = Callable[[], None]


def bucket(images: int) -> int:
    """The batch size for ``images``: as many up to 4, else the next in steps of 4, 8 and 16."""
    step = next(step for most, step in ((4, 1), (32, 4), (64, 8), (images, 16)) if images <= most)
    return -(-images // step) * step


class Buckets:
    """Paths as captures that read and write buffers of their own.

    Images of one shape share buffers, whichever path they are for; rows that a batch does not fill
    hold what was there before, and nobody reads what becomes of them.
    """

    def __init__(self, capture: Callable[[Run], Run]) -> None:
        """``capture`` gives what repeats a run on the same memory."""
        self._capture = capture
        self._buffers: dict[tuple[object, ...], Tensor] = {}

    def captured(self, path: FoldedPath | Path) -> Callable[[Tensor], Tensor]:
        """``path`` as captures; one that runs as a module stays as it is.

        A result's memory is that of the next one: use it before any captured path runs again.
        """
        return _CapturedPath(path, self) if isinstance(path, FoldedPath) else path

    def capture(self, path: FoldedPath, given: Tensor) -> tuple[Run, Tensor]:
        """What runs ``path`` on the memory of ``given`` once more, and where the result is."""
        made = path(given)
        result = self.buffer("result", made)[: len(made)]
        return self._capture(lambda: _run_into(result, path, given)), result

    def buffer(self, role: str, x: Tensor) -> Tensor:
        """Memory for ``MAX_GRAPH_BATCH`` images like those of ``x``."""
        key = (role, x.shape[1:], x.dtype, x.device)
        if key not in self._buffers:
            zeros = x.new_zeros(MAX_GRAPH_BATCH, *x.shape[1:])
            self._buffers[key] = zeros.contiguous(memory_format=torch.channels_last)
        return self._buffers[key]


class _CapturedPath:
    """One path, captured once for each batch size that occurs."""

    def __init__(self, path: FoldedPath, buckets: Buckets) -> None:
        self.path = path
        self._buckets = buckets
        self._captures: dict[int, tuple[Run, Tensor]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """``path(x)``."""
        if len(x) > MAX_GRAPH_BATCH:
            return torch.cat([self(part).clone() for part in x.split(MAX_GRAPH_BATCH)])
        images, size = len(x), bucket(len(x))
        given = self._buckets.buffer("given", x)[:size]
        given[:images].copy_(x)
        if size not in self._captures:
            self._captures[size] = self._buckets.capture(self.path, given)
        run, result = self._captures[size]
        run()
        return result[:images]


def _run_into(result: Tensor, path: FoldedPath, given: Tensor) -> None:
    result.copy_(path(given))
