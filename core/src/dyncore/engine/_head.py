"""A network's head in compiled code: perhaps a convolution, then a linear layer of averages."""

import ctypes

import torch
from torch import Tensor, nn

from dyncore.engine._compiled import Head
from dyncore.engine._convolution import Activation
from dyncore.engine._packing import Maps, Store, plain, pointers
from dyncore.engine._probe import agree, far, only_layer, reaching, waves
from dyncore.engine._stem import FORMS
from dyncore.gating import Affine


class NativeHead:
    """Averages of each channel, of the maps or of a convolution of them, then a linear layer."""

    def __init__(
        self,
        linear: nn.Linear,
        conv: nn.Conv2d | None,
        activation: Activation,
        size: tuple[int, ...],
        store: Store,
    ) -> None:
        self._store = store
        self._size, self._classes = size, linear.out_features
        self.width = linear.in_features + store.filled(linear.out_features)
        bias = linear.weight.new_zeros(self._classes) if linear.bias is None else linear.bias
        maps, convolved = store.map(size), store.map((linear.in_features, *size[1:]))
        self._convolved = pointers(store.scratch("head", convolved.numbers if conv else 1))
        self.form = Head(
            ctypes.pointer(store.affine(Affine(linear.weight, bias))),
            ctypes.pointer(store.convolution(conv, activation)) if conv else None,
            maps,
            convolved,
            size[0],
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


@torch.no_grad()
def native_head(head: nn.Module, size: tuple[int, ...], store: Store) -> NativeHead | None:
    """The compiled form of ``head`` for maps of ``size``; None where it computes something else."""
    tried = waves(1, *size, dtype=store.dtype)
    linear = only_layer(head, nn.Linear, tried)
    conv = only_layer(head, nn.Conv2d, tried)
    if linear is None or (conv is not None and not plain(conv, (1,))):
        return None
    tried = tried if conv is None else far(tried, conv)
    averages, logits = reaching(linear, head, tried)
    if not agree(linear(averages), logits):
        return None
    # By logits no form could be told from another behind small weights and a large bias.
    for activation, maximum, follows in FORMS:
        pooled = (tried if conv is None else follows(conv(tried))).mean((2, 3))
        if not maximum and agree(pooled, averages):
            return NativeHead(linear, conv, activation, size, store)
    return None
