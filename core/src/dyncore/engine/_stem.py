"""A network's stem in compiled code, where it is one convolution and perhaps a maximum."""

import ctypes
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.engine._compiled import Stem
from dyncore.engine._convolution import Activation
from dyncore.engine._packing import Maps, Store, plain, pointers
from dyncore.engine._probe import agree, far, only_layer, waves

FORMS: tuple[tuple[Activation, bool, Callable[[Tensor], Tensor]], ...] = (
    ("relu", True, lambda x: F.max_pool2d(x.relu(), 3, 2, 1)),
    ("relu", False, torch.relu),
    ("relu6", False, F.relu6),
    ("none", False, lambda x: x),
)
"""What may follow the convolution: activation, whether a maximum, and both as a function."""


class NativeStem:
    """One convolution and what follows it."""

    def __init__(
        self,
        conv: nn.Conv2d,
        activation: Activation,
        maximum: bool,
        image: Tensor,
        out: Maps,
        store: Store,
    ) -> None:
        channels, kernel = image.shape[1], int(conv.kernel_size[0])
        placed = store.map(tuple(image.shape[1:]), channels, kernel // 2)
        convolved = store.map(tuple(conv(image).shape[1:]))
        memory = [store.scratch(("stem", n), m.numbers) for n, m in enumerate((placed, convolved))]
        self._store = store
        self._scratch = pointers(row for thread in zip(*memory, strict=True) for row in thread)
        self.form = Stem(
            ctypes.pointer(store.convolution(conv, activation, merged=True)),
            placed,
            convolved,
            out.map,
            channels,
            maximum,
            ctypes.addressof(self._scratch),
        )

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


@torch.no_grad()
def native_stem(stem: nn.Module, image: Tensor, out: Maps, store: Store) -> NativeStem | None:
    """The compiled form of ``stem``; None where what it computes is none of the known forms."""
    tried = waves(*image.shape, dtype=image.dtype)
    conv = only_layer(stem, nn.Conv2d, tried)
    if conv is None or not plain(conv, (1, 3, 5, 7)):
        return None
    tried = far(tried, conv)
    expected, convolved = stem(tried), conv(tried)
    for activation, maximum, follows in FORMS:
        if agree(follows(convolved), expected):
            return NativeStem(conv, activation, maximum, image, out, store)
    return None
