"""A network's stem in compiled code: one convolution and perhaps a maximum."""

import ctypes

import torch
from torch import Tensor

from dyncore.engine.native import _structs as structs
from dyncore.engine.native._packing import Maps, Store, pointers
from dyncore.engine.plan import FoldedStem


class NativeStem:
    """One convolution and what follows it."""

    def __init__(
        self,
        stem: FoldedStem,
        image: Tensor,
        out: Maps,
        store: Store,
        *,
        rounds: bool,
    ) -> None:
        """``image`` (1, C, H, W) is like those to come; ``out`` gets what the stem gives.

        ``rounds``: it is bfloat16, and a block reads a copy of what it gives that is, too.
        """
        conv, activation = stem.layer.conv, stem.layer.activation
        channels, kernel = image.shape[1], int(conv.kernel_size[0])
        placed = store.map(tuple(image.shape[1:]), channels, kernel // 2)
        convolved = store.map(tuple(conv(image).shape[1:]))
        memory = [store.scratch(("stem", n), m.numbers) for n, m in enumerate((placed, convolved))]
        self._store = store
        statistics = stem.preprocessing
        self._scratch = pointers(row for thread in zip(*memory, strict=True) for row in thread)
        self.form = structs.Stem(
            ctypes.pointer(store.convolution(conv, activation, merged=True, rounded=rounds)),
            placed,
            convolved,
            out.map,
            channels,
            stem.max_pool,
            rounds,
            rounds,
            None if statistics is None else self._kept(statistics.mean),
            None if statistics is None else self._kept(statistics.std),
            ctypes.addressof(self._scratch),
        )

    def _kept(self, values: tuple[float, ...]) -> int:
        return self._store.keep(torch.tensor(values, dtype=self._store.dtype, device="cpu"))

    def run(self, images: Tensor, out: int) -> None:
        """Write maps at the address ``out``."""
        strides = (ctypes.c_int64 * 4)(*images.stride())
        self._store.code.run_stem(
            ctypes.addressof(self.form),
            images.data_ptr(),
            strides,
            out,
            len(images),
            self._store.team,
        )
