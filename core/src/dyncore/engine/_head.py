"""A network's head in compiled code, where it is one linear layer of the maps' averages."""

import ctypes

import torch
from torch import Tensor, nn

from dyncore.engine._packing import Maps, Store
from dyncore.engine._probe import agree, only_layer, waves
from dyncore.gating import Affine


class NativeHead:
    """Averages of each channel, then one linear layer."""

    def __init__(self, linear: nn.Linear, store: Store) -> None:
        self._store = store
        self._classes = linear.out_features
        bias = linear.weight.new_zeros(self._classes) if linear.bias is None else linear.bias
        self._linear = store.affine(Affine(linear.weight, bias))

    def run(self, x: Tensor, maps: Maps) -> tuple[Tensor, Tensor]:
        """(B, classes) of ``maps``' (B, C, H, W), and a copy of these without borders."""
        images, channels, height, width = x.shape
        scratch = x.new_empty(images, channels + self._store.filled(self._classes))
        logits = x.new_empty(images, self._classes)
        copy = x.new_empty(images, height, width, channels)
        self._store.code.run_head(
            ctypes.addressof(self._linear),
            ctypes.addressof(maps.map),
            maps.start(x),
            scratch.data_ptr(),
            logits.data_ptr(),
            copy.data_ptr(),
            images,
            self._store.team,
        )
        return logits, copy.permute(0, 3, 1, 2)


@torch.no_grad()
def native_head(head: nn.Module, size: tuple[int, ...], store: Store) -> NativeHead | None:
    """The compiled form of ``head`` for maps of ``size``; None where it computes something else."""
    tried = waves(1, *size, dtype=store.dtype)
    linear, expected = only_layer(head, nn.Linear, tried)
    if linear is None or not agree(linear(tried.mean((2, 3))), expected):
        return None
    return NativeHead(linear, store)
