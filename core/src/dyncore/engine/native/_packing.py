"""Weights, maps and scratch memory as compiled code takes them."""

import ctypes
import mmap
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.engine.native._structs import Convolution, Excitation, Map
from dyncore.engine.native._supported import is_depthwise, is_grouped
from dyncore.engine.native._team import Crew
from dyncore.engine.plan import ActivationKind, FoldedExcitation
from dyncore.gating import Affine

ARENA = 2**25
"""Bytes that are asked for at a time."""
PAGE, HUGE_PAGE = 2**12, 2**21
ALIGNMENT = 64


def pointers(rows: Iterable[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    """Their addresses as an array in C."""
    addresses = [row.data_ptr() for row in rows]
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _memory(size: int) -> mmap.mmap:
    """``size`` bytes of zeros, in huge pages where the system has them.

    They must be private: Linux gives shared ones small pages.
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _zeros(numbers: int, dtype: torch.dtype) -> Tensor:
    """Small ones come from the allocator, which packs them better."""
    size = numbers * dtype.itemsize
    if size < HUGE_PAGE:
        return torch.zeros(numbers, dtype=dtype, device="cpu")
    return torch.frombuffer(_memory(size), dtype=dtype)


def by_panels(conv: nn.Conv2d, lanes: int) -> tuple[Tensor, Tensor]:
    """A grouped convolution's weights over the inputs of each panel of ``lanes`` outputs.

    (outputs, inputs, kernel, kernel), where ``inputs`` are as many as any panel's groups have, with
    zeros between what is of different groups; and each panel's first input.
    """
    outputs, each = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    first = torch.arange(0, conv.out_channels, lanes)
    last = (first + lanes).clamp(max=conv.out_channels) - 1
    starts, ends = first // outputs * each, (last // outputs + 1) * each
    inputs = int((ends - starts).max())
    starts = starts.clamp(max=conv.in_channels - inputs)
    weight = conv.weight.detach()
    wide = weight.new_zeros(conv.out_channels, inputs, *conv.kernel_size)
    for output in range(conv.out_channels):
        at = output // outputs * each - int(starts[output // lanes])
        wide[output, at : at + each] = weight[output]
    return wide, starts


class Store:
    """The memory that compiled code points to, which lives as long as this, and who runs it."""

    def __init__(self, crew: Crew, dtype: torch.dtype) -> None:
        self.code, self.dtype, self.threads = crew.code, dtype, crew.threads
        self.lanes = int(crew.code.lanes())
        self.team = crew.address
        self._crew = crew  # its threads end with it
        self._arenas: list[mmap.mmap] = []
        self._free = self._used = 0
        self._scratch: dict[object, Tensor] = {}
        self._watched: list[Tensor] = []
        self._structs: list[Excitation] = []

    def filled(self, channels: int) -> int:
        """Up to whole vectors."""
        return -(-channels // self.lanes) * self.lanes

    def map(self, size: tuple[int, ...], pitch: int | None = None, border: int = 1) -> Map:
        """Of (channels, height, width); ``pitch`` is all numbers of a pixel, if they are known."""
        return Map(size[1], size[2], border, self._pitch(size[0]) if pitch is None else pitch)

    def whole(self, channels: int) -> bool:
        """Whether the pixels of a map of so many channels lie together without a gap."""
        return self._pitch(channels) == channels

    def _pitch(self, channels: int) -> int:
        """Filled up, but not to whole quarters of a page.

        A tile's pixels, every second one where the stride is 2, would push each other out of the
        first cache, where such addresses share few sets.
        """
        filled = self.filled(channels)
        return filled if filled * self.dtype.itemsize % (PAGE // 4) else filled + self.lanes

    def numbers(self, size: Map) -> int:
        """How many an image has between two blocks: the map, and perhaps its rounded copy."""
        return int(self.code.map_numbers(ctypes.byref(size)))

    def empty(self, *shape: int) -> Tensor:
        """Not initialised."""
        return torch.empty(shape, dtype=self.dtype, device="cpu")

    def scratch(self, use: object, numbers: int) -> Tensor:
        """(threads, numbers) zeros, the same ones for the same use."""
        key = use, numbers
        if key not in self._scratch:
            self._scratch[key] = _zeros(self.threads * numbers, self.dtype).view(-1, numbers)
        return self._scratch[key]

    def convolution(
        self,
        conv: nn.Conv2d,
        activation: ActivationKind,
        *,
        picks: bool = False,
        merged: bool = False,
        rounded: bool = False,
    ) -> Convolution:
        """``conv`` packed. ``picks``: single output channels can be asked for.

        ``merged``: all channels of a map are read, so that a kernel's row lies together.
        ``rounded``: inputs and weights are bfloat16, the sums and the bias are not. A depthwise
        one computes in float32 whatever it reads.
        """
        stride, depthwise = int(conv.stride[0]), is_depthwise(conv)
        if is_grouped(conv):
            weight, starts = by_panels(conv, self.lanes)
            packed = self._packed(weight, conv.bias, stride, activation)
            packed.starts = self.keep(starts, torch.int32)
            return packed
        merged, rounded = merged and not depthwise, rounded and not depthwise
        return self._packed(
            conv.weight, conv.bias, stride, activation, picks, merged, depthwise, rounded
        )

    def excitation(self, excitation: FoldedExcitation, outputs: int) -> Excitation:
        """``excitation`` of ``outputs`` channels packed."""
        more = self.filled(outputs) - outputs
        reduce, expand = (
            conv.weight.detach().flatten(1) for conv in (excitation.reduce, excitation.expand)
        )
        biases = [conv.bias for conv in (excitation.reduce, excitation.expand)]
        assert biases[0] is not None, "the plan takes no others"
        assert biases[1] is not None, "the plan takes no others"
        packed = Excitation(
            len(reduce),
            excitation.activation,
            excitation.hard,
            self.keep(F.pad(reduce, (0, more))),
            self.keep(biases[0].detach()),
            self.keep(F.pad(expand.T, (0, more))),
            self.keep(F.pad(biases[1].detach(), (0, more))),
        )
        self._structs.append(packed)
        return packed

    def affine(self, affine: Affine, *, rounded: bool = False) -> Convolution:
        """``affine`` packed, for maps with an image's row of numbers in the place of a pixel."""
        return self._packed(affine.weight[:, :, None, None], affine.bias, rounded=rounded)

    def _packed(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int = 1,
        activation: ActivationKind = ActivationKind.NONE,
        picks: bool = False,
        merged: bool = False,
        depthwise: bool = False,
        rounded: bool = False,
    ) -> Convolution:
        weight = weight.detach()
        outputs, inputs, kernel, _ = weight.shape
        more = self.filled(outputs) - outputs
        panels = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, more))
        panels = panels.unflatten(0, (-1, self.lanes)).permute(0, 3, 4, 2, 1)
        if merged:
            panels = panels.flatten(2, 3)
        if rounded:
            panels = F.pad(panels.bfloat16(), (0, 0, 0, panels.shape[-2] % 2))
        terms = panels.shape[-2]
        if rounded:
            panels = panels.unflatten(-2, (-1, 2)).transpose(-1, -2)
        padded = F.pad(weight.new_zeros(outputs) if bias is None else bias.detach(), (0, more))
        rows = F.pad(weight.permute(0, 2, 3, 1), (0, self.filled(inputs) - inputs))
        return Convolution(
            kernel,
            stride,
            activation,
            merged,
            depthwise,
            terms,
            outputs,
            self.keep(panels, panels.dtype if rounded else None),
            self.keep(rows) if picks else None,
            self.keep(padded),
            variance_more=-1.0,
        )

    def keep(self, values: Tensor, dtype: torch.dtype | None = None) -> int:
        """The address of a copy; a run reads each weight about once, so pages matter."""
        dtype = dtype or self.dtype
        taken = -(-values.numel() * dtype.itemsize // ALIGNMENT) * ALIGNMENT
        if taken > self._free:
            size = max(taken, ARENA)
            self._arenas.append(_memory(size))
            self._free, self._used = size, 0
        kept = torch.frombuffer(
            self._arenas[-1], dtype=dtype, count=values.numel(), offset=self._used
        )
        kept.copy_(values.flatten())
        self._free -= taken
        self._used += taken
        return kept.data_ptr()

    def watch(self, values: Tensor | None) -> int:
        """The address of numbers that may change later; None: of a 0."""
        if values is None:
            return self.keep(torch.zeros(1))
        assert (values.dtype, values.device.type) == (self.dtype, "cpu")
        self._watched.append(values)
        return values.data_ptr()


class Maps:
    """A buffer for maps of one size (channels, height, width), as large as it was ever needed."""

    def __init__(self, size: tuple[int, ...], store: Store) -> None:
        self.size, self.dtype = size, store.dtype
        self.map = store.map(size)
        self.numbers = store.numbers(self.map)
        self.row = self.map.pitch * (size[2] + 2)
        self._buffer = torch.empty(0, device="cpu")

    def take(self, images: int, *, own: bool = False) -> Tensor:
        """(images, channels, height, width), borders zero; ``own``: in a buffer of its own."""
        needed = images * self.numbers
        if own:
            return self._view(torch.zeros(needed, dtype=self.dtype, device="cpu"), images)
        if len(self._buffer) < needed:
            self._buffer = _zeros(needed, self.dtype)
        return self._view(self._buffer, images)

    def put(self, x: Tensor, values: Tensor) -> Tensor:
        """Set ``x``, a view into such a buffer, and its rounded copy where there is one."""
        x.copy_(values)
        if self.numbers > self.map.numbers:
            strides = (2 * self.numbers, 1, self.row, self.map.pitch)
            offset = 2 * (x.storage_offset() + self.map.numbers) - self.row - self.map.pitch
            copy = torch.empty(0, dtype=torch.bfloat16, device="cpu")
            copy.set_(x.untyped_storage(), offset, x.shape, strides).copy_(values)
        return x

    def start(self, x: Tensor) -> int:
        """Address of the first image's border."""
        return x.data_ptr() - (self.row + self.map.pitch) * x.element_size()

    def _view(self, buffer: Tensor, images: int) -> Tensor:
        strides = (self.numbers, 1, self.row, self.map.pitch)
        return buffer.as_strided((images, *self.size), strides, self.row + self.map.pitch)
