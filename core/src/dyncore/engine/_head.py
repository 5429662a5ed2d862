"""A network's head in compiled code, where it is one linear layer of the maps' averages."""

import ctypes

import torch
from torch import Tensor, nn

from dyncore.engine._fold import agree
from dyncore.engine._packing import Maps, Store
from dyncore.gating import Affine


class NativeHead:
    """Averages of each channel, then one linear layer."""

    def __init__(self, linear: nn.Linear, store: Store) -> None:
        self._store = store
        self._classes = linear.out_features
        bias = linear.weight.new_zeros(self._classes) if linear.bias is None else linear.bias
        self._linear = store.affine(Affine(linear.weight, bias))

    def run(self, x: Tensor, maps: Maps) -> Tensor:
        """(B, classes) of ``maps``' (B, C, H, W)."""
        images, channels = x.shape[:2]
        pooled = x.new_empty(images, channels)
        logits = x.new_empty(images, self._store.filled(self._classes))
        self._store.code.run_head(
            ctypes.addressof(self._linear),
            ctypes.addressof(maps.map),
            maps.start(x),
            pooled.data_ptr(),
            logits.data_ptr(),
            images,
            self._store.team,
        )
        return logits[:, : self._classes].contiguous()


@torch.no_grad()
def native_head(head: nn.Module, size: tuple[int, ...], store: Store) -> NativeHead | None:
    """The compiled form of ``head`` for maps of ``size``; None where it computes something else."""
    layers = [part for part in head.modules() if isinstance(part, nn.Linear)]
    used: list[nn.Linear] = []
    hooks = [layer.register_forward_hook(lambda layer, *_: used.append(layer)) for layer in layers]
    count = size[0] * size[1] * size[2]
    tried = torch.linspace(-2, 2, count, dtype=store.dtype).sin().view(1, *size)
    expected = head(tried)
    for hook in hooks:
        hook.remove()
    if len(used) != 1 or not agree(used[0](tried.mean((2, 3))), expected):
        return None
    return NativeHead(used[0], store)
