"""Convolutions on a CPU: oneDNN's own operators with packed weights, or torch's public ones.

The operators under ``torch.ops.mkldnn`` are private. They fuse bias, sum and activation, write
into views of a channels-last tensor, and need no gather. :func:`onednn_works` tries them once;
where they are missing or answer differently, :class:`PortableConvolution` takes their place.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation: TypeAlias = Literal["none", "relu", "relu6"]
POST: dict[Activation, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}
"""oneDNN's name of an activation, and its numbers."""

CANDIDATES = (1, 2, 8)
"""Batch sizes for which weights are packed when a layout is looked for."""
SLOW = 1.2
"""A packed weight that is slower than a plain one by this factor is in the wrong layout."""


def activate_(y: Tensor, activation: Activation) -> Tensor:
    """Apply an activation in place."""
    if activation == "relu":
        return y.relu_()
    return F.relu6(y, inplace=True) if activation == "relu6" else y


class PortableConvolution:
    """With public operators only, for channels-last tensors."""

    def __init__(self, conv: nn.Conv2d, activation: Activation) -> None:
        self.conv = conv
        self.activation = activation

    def __call__(self, x: Tensor) -> Tensor:
        """``activation(conv(x))``."""
        return activate_(self.conv(x), self.activation)

    def add_(self, total: Tensor, x: Tensor, *, relu: bool) -> None:
        """``total ← total + conv(x)``, then a ReLU if asked for; no activation of its own."""
        total.add_(self.conv(x))
        if relu:
            total.relu_()


class OneDnnConvolution:
    """With oneDNN's private operators.

    The layout that oneDNN wants of a weight depends on the number of threads and on whether the
    batch is one image. A weight in another layout is packed again in every call, without a word.
    So each of the two gets a layout for each number of threads, and when it is first needed it is
    timed against the plain weight.
    """

    def __init__(self, conv: nn.Conv2d, activation: Activation) -> None:
        self.weight = conv.weight.detach()
        self.bias = None if conv.bias is None else conv.bias.detach()
        self.geometry = (
            list(conv.padding),
            list(conv.stride),
            list(conv.dilation),
            conv.groups,
        )
        self.post = (*POST[activation], None)
        self._packed: dict[tuple[int, bool], Tensor] = {}
        self._lock = threading.Lock()

    def __call__(self, x: Tensor) -> Tensor:
        """See :class:`PortableConvolution`."""
        return self._convolve(x, self._weight(x))

    def add_(self, total: Tensor, x: Tensor, *, relu: bool) -> None:
        """See :meth:`PortableConvolution.add_`."""
        torch.ops.mkldnn._convolution_pointwise_.binary(
            total,
            x,
            self._weight(x),
            self.bias,
            *self.geometry,
            "add",
            1.0,
            "relu" if relu else None,
            [],
            None,
        )

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *self.geometry, *self.post
        )

    def _weight(self, x: Tensor) -> Tensor:
        key = (torch.get_num_threads(), x.shape[0] > 1)
        packed = self._packed.get(key)
        if packed is None:
            with self._lock:
                packed = self._packed.get(key)
                if packed is None:
                    packed = self._packed[key] = self._pack(x[:2].clone())
        return packed

    def _pack(self, x: Tensor) -> Tensor:
        """The weight in the layout that oneDNN names for ``x``; the fastest one if that is slow."""
        named = self._layout(len(x) if len(x) == 1 else CANDIDATES[-1], x)
        if fastest(self._runs(x, [named, self.weight]), margin=SLOW) == 0:
            return named
        layouts = [self.weight, *(self._layout(images, x) for images in CANDIDATES)]
        return layouts[fastest(self._runs(x, layouts))]

    def _layout(self, images: int, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, *self.geometry, [images, *x.shape[1:]]
        )

    def _runs(self, x: Tensor, layouts: Sequence[Tensor]) -> list[Callable[[], object]]:
        return [functools.partial(self._convolve, x, layout) for layout in layouts]


Convolution: TypeAlias = PortableConvolution | OneDnnConvolution


def build_convolution(conv: nn.Conv2d, activation: Activation, *, portable: bool) -> Convolution:
    """The fastest form that works here."""
    if portable or conv.weight.dtype != torch.float32 or not onednn_works():
        return PortableConvolution(conv, activation)
    return OneDnnConvolution(conv, activation)


def fastest(
    runs: Sequence[Callable[[], object]],
    *,
    clock: Callable[[], float] = time.perf_counter,
    turns: int = 2,
    margin: float = 1.0,
) -> int:
    """Index of the fastest run: best of ``turns`` in turn, after one that does not count.

    The first one stays unless another is faster by the factor ``margin``.
    """
    best = [float("inf")] * len(runs)
    for turn in range(turns + 1):
        for index, run in enumerate(runs):
            start = clock()
            run()
            if turn:
                best[index] = min(best[index], clock() - start)
    best[0] /= margin
    return best.index(min(best))


@functools.cache
def onednn_works() -> bool:
    """Whether oneDNN's operators are here and answer as torch's public ones, in place too."""
    conv = nn.Conv2d(8, 8, 3, padding=1, device="meta").to_empty(device="cpu")
    for values in conv.requires_grad_(False).parameters():  # no number is drawn for this
        values.copy_(torch.linspace(-1, 1, values.numel()).view_as(values))
    x = torch.linspace(-1, 1, 2 * 8 * 6 * 6).view(2, 8, 6, 6)
    x = x.contiguous(memory_format=torch.channels_last)
    ours_total, public_total = x.clone(), x.clone()
    try:
        with torch.no_grad():
            ours, public = OneDnnConvolution(conv, "relu6"), PortableConvolution(conv, "relu6")
            ours.add_(ours_total[1:], x[1:], relu=True)
            public.add_(public_total[1:], x[1:], relu=True)
            same = torch.allclose(ours(x), public(x), atol=1e-5)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return same and torch.allclose(ours_total, public_total, atol=1e-5)
