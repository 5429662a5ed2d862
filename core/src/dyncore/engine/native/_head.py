"""A network's head in compiled code: perhaps a convolution, then a linear layer of averages."""

import ctypes

from torch import Tensor

from dyncore.engine.native import _structs as structs
from dyncore.engine.native._packing import Maps, Store, pointers
from dyncore.engine.plan import FoldedHead
from dyncore.gating import Affine


class NativeHead:
    """Averages of each channel, of the maps or of a convolution of them, then a linear layer."""

    def __init__(
        self,
        head: FoldedHead,
        size: tuple[int, ...],
        store: Store,
        *,
        rounds: bool,
    ) -> None:
        """``size`` (C, H, W) is that of the last block's maps.

        ``rounds``: in bfloat16; a convolution then reads the maps' copy.
        """
        layer, linear = head.layer, head.linear
        self._store = store
        self._size, self._classes = size, linear.out_features
        self.convolves = layer is not None
        self.width = 2 * store.filled(linear.in_features) + store.filled(linear.out_features)
        """Numbers per image for averages, their copies and logits."""
        bias = linear.weight.new_zeros(self._classes) if linear.bias is None else linear.bias
        maps, convolved = store.map(size), store.map((linear.in_features, *size[1:]))
        self._convolved = pointers(store.scratch("head", convolved.numbers if layer else 1))
        convolution = None
        if layer is not None:
            packed = store.convolution(layer.conv, layer.activation, rounded=rounds)
            convolution = ctypes.pointer(packed)
        self.form = structs.Head(
            ctypes.pointer(store.affine(Affine(linear.weight, bias), rounded=rounds)),
            convolution,
            maps,
            convolved,
            size[0],
            rounds,
            ctypes.addressof(self._convolved),
        )

    def answer(self, images: int) -> tuple[Tensor, Tensor]:
        """Not initialised: logits (B, classes), and maps (B, C, H, W) without borders."""
        channels, height, width = self._size
        maps = self._store.empty(images, height, width, channels).permute(0, 3, 1, 2)
        return self._store.empty(images, self._classes), maps

    def run(self, x: Tensor, maps: Maps) -> tuple[Tensor, Tensor]:
        """(B, classes) of ``maps``' (B, C, H, W), and a copy of these without borders."""
        logits, copy = self.answer(len(x))
        scratch = self._store.empty(len(x), self.width)
        self._store.code.run_head(
            ctypes.addressof(self.form),
            maps.start(x),
            scratch.data_ptr(),
            logits.data_ptr(),
            copy.data_ptr(),
            len(x),
            self._store.team,
        )
        return logits, copy
