"""A block in compiled code: each image runs alone, so time follows what it chose.

Maps are padded and channels-last, see ``cpp/tile.h``. A tensor of them, (B, C, H, W), is
a view into a buffer that its block keeps: nothing is allocated between two blocks.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.blocks import PadShortcut
from dyncore.engine._executor import BlockRunner
from dyncore.engine.native import _structs as structs
from dyncore.engine.native._library import CONVOLUTION, IDENTITY, NO_SHORTCUT, PADDING
from dyncore.engine.native._packing import Maps, Store, pointers
from dyncore.engine.native._picking import max_picked, max_picked_pairs
from dyncore.engine.plan import ActivationKind, BlockPlan, FoldedLayer, FoldedPath
from dyncore.gating import Decision

BORDERED = 3
"""Width of the largest kernel for which maps between blocks have borders."""


@dataclass(frozen=True)
class Rounding:
    """What of a block is bfloat16; sums and what is added to the shortcut never are."""

    layers: bool = False
    """Weights and inputs of its layers and of its projection."""
    output: bool = False
    """A copy of its output, since a later block reads one."""


@dataclass(frozen=True)
class _Hidden:
    """Maps between the layers of a block, which all of its paths share side by side."""

    maps: list[structs.Map]
    offsets: list[int]
    """Of each path in each map: its first channel."""
    memory: list[Tensor]
    """Of each map, one for each thread."""


def _hidden(
    plan: BlockPlan, paths: Sequence[tuple[FoldedLayer, ...]], store: Store, rounded: bool
) -> _Hidden:
    hidden = _Hidden([], [], [])
    height, width = plan.in_size[1:]
    *inner, _ = zip(*paths, strict=True)
    for index, layers in enumerate(inner):
        conv = layers[0].conv
        kernel, stride = int(conv.kernel_size[0]), int(conv.stride[0])
        height, width = (
            (side + 2 * (kernel // 2) - kernel) // stride + 1 for side in (height, width)
        )
        widths = [store.filled(layer.conv.out_channels) for layer in layers]
        border = max(int(path[index + 1].conv.kernel_size[0]) // 2 for path in paths)
        between = store.map((sum(widths), height, width), border=max(1, border))
        hidden.maps.append(between)
        hidden.offsets.extend(sum(widths[:n]) for n in range(len(widths)))
        numbers = -(-between.numbers // 2) if rounded else between.numbers
        hidden.memory.append(store.scratch((index, height, width, between.border), numbers))
    return hidden


def _last_biases(paths: Sequence[tuple[FoldedLayer, ...]], channels: int) -> Tensor:
    """(paths, channels) of the last layers, filled up."""
    biases = [path[-1].conv.bias for path in paths]
    known = torch.stack([bias.detach() for bias in biases if bias is not None])
    return F.pad(known, (0, channels - known.shape[1]))


def _side_by_side(paths: Sequence[tuple[FoldedLayer, ...]], multiple: int) -> nn.Conv2d:
    """The last layers of all paths as one convolution of their inputs, side by side.

    Each path's inputs are filled up to a ``multiple``.
    """
    convs = [path[-1].conv for path in paths]
    one, more = convs[0], -convs[0].in_channels % multiple
    weight = torch.cat([F.pad(conv.weight, (0, 0, 0, 0, 0, more)) for conv in convs], 1)
    joined = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        one.kernel_size,  # type: ignore[arg-type]
        one.stride,  # type: ignore[arg-type]
        one.padding,  # type: ignore[arg-type]
        bias=False,
        device="meta",
    )
    joined.weight = nn.Parameter(weight, False)
    return joined


def _form(shortcut: nn.Module | None) -> int:
    if isinstance(shortcut, nn.Conv2d):
        return CONVOLUTION
    if isinstance(shortcut, PadShortcut):
        return PADDING
    return NO_SHORTCUT if shortcut is None else IDENTITY


def _packed(
    plan: BlockPlan,
    paths: Sequence[tuple[FoldedLayer, ...]],
    maps: Sequence[structs.Map],
    offsets: Sequence[int],
    store: Store,
    rounding: Rounding,
) -> structs.Block:
    """``plan`` as compiled code takes it; ``maps`` and ``offsets`` are those of its layers."""
    rounded = rounding.layers
    one = not plan.channels and len(paths) == 1
    inner = [
        _inner(plan, layer, index, store, merged=one, rounded=rounded)
        for path in paths
        for index, layer in enumerate(path[:-1])
    ]
    last = _side_by_side(paths, 2 if rounded else 1)
    shortcut = plan.shortcut
    padding = shortcut if isinstance(shortcut, PadShortcut) else None
    projection = shortcut if isinstance(shortcut, nn.Conv2d) else None
    assert isinstance(plan.activation, ActivationKind), "others are not supported"
    return structs.Block(
        paths=len(paths),
        layers=len(maps) - 1,
        convolutions=(structs.Convolution * len(inner))(*inner),
        last=_pointer(store, last, rounded, merged=one and store.whole(last.in_channels)),
        last_bias=store.keep(_last_biases(paths, maps[-1].pitch)),
        maps=(structs.Map * len(maps))(*maps),
        offsets=(ctypes.c_int64 * len(offsets))(*offsets),
        shortcut=_form(shortcut),
        activation=plan.activation,
        input_activated=plan.input_activated,
        projection=None if projection is None else _pointer(store, projection, rounded),
        stride=padding.stride if padding else 1,
        channels_before=padding.new_channels // 2 if padding else 0,
        in_channels=plan.in_size[0],
        out_channels=plan.out_size[0],
        gated_channels=plan.channels,
        max_picked=max_picked_pairs(plan) if rounded else max_picked(plan),
        rounded=rounded,
        rounds=rounding.output,
    )


def _inner(
    plan: BlockPlan, layer: FoldedLayer, index: int, store: Store, *, merged: bool, rounded: bool
) -> structs.Convolution:
    """Layer ``index`` of a path, which is not the last."""
    conv = layer.conv
    packed = store.convolution(
        conv,
        layer.activation,
        picks=plan.channels > 0 and index == 0 and not rounded,
        merged=merged and conv.groups == 1 and store.whole(conv.in_channels),
        rounded=rounded,
    )
    if layer.standardised is not None:
        packed.variance_more = layer.standardised
    if layer.excitation is not None:
        excitation = store.excitation(layer.excitation, conv.out_channels)
        packed.excitation = ctypes.pointer(excitation)
    return packed


def _bordered(path: FoldedPath) -> tuple[FoldedLayer, ...]:
    """Its layers; before one that looks further than a map between blocks has a border, a copy."""
    conv = path.layers[0].conv
    if conv.kernel_size[0] <= BORDERED:
        return path.layers
    copies = nn.Conv2d(conv.in_channels, conv.in_channels, 1, groups=conv.in_channels)
    copies.to(conv.weight).requires_grad_(False)
    nn.init.ones_(copies.weight)
    if copies.bias is not None:
        nn.init.zeros_(copies.bias)
    return FoldedLayer(copies, ActivationKind.NONE), *path.layers


def _pointer(store: Store, conv: nn.Conv2d, rounded: bool, *, merged: bool = False) -> object:
    packed = store.convolution(conv, ActivationKind.NONE, merged=merged, rounded=rounded)
    return ctypes.pointer(packed)


class NativeBlock(BlockRunner):
    """Runs a block on the maps of a :class:`NativeNetwork`."""

    def __init__(self, plan: BlockPlan, before: Maps, store: Store, rounding: Rounding) -> None:
        """``before``: the maps of the block before, or of the stem."""
        self.plan = plan
        self.before = before
        self.maps = before if plan.keeps_input else Maps(plan.out_size, store)
        self._store = store
        paths = [_bordered(path) for path in plan.paths if isinstance(path, FoldedPath)]
        hidden = _hidden(plan, paths, store, rounding.layers)
        maps = [store.map(plan.in_size), *hidden.maps, store.map(plan.out_size)]
        self.scratch = pointers(
            row for thread in zip(*hidden.memory, strict=True) for row in thread
        )
        excited = [layer.conv for path in paths for layer in path if layer.excitation]
        widest = max((store.filled(conv.out_channels) for conv in excited), default=0)
        numbers = 2 * (maps[-1].pitch + maps[1].pitch + widest)  # what they are: see block.h
        self.buffers = pointers(store.scratch("lists", numbers))
        self.block = _packed(plan, paths, maps, hidden.offsets, store, rounding)

    def run(
        self,
        x: Tensor,
        decision: Decision | None,
        *,
        scales: bool = False,
        pooled: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`BlockRunner.run`."""
        images = len(x)
        total = x if self.plan.keeps_input else self.maps.take(images)
        given = self._given(decision, scales)
        choice = structs.Choice(
            *(None if tensor is None else tensor.data_ptr() for tensor in given)
        )
        self._store.code.run_block(
            ctypes.addressof(self.block),
            ctypes.addressof(choice),
            self.before.start(x),
            self.maps.start(total),
            None if pooled is None else pooled.data_ptr(),
            images,
            self.scratch,
            self.buffers,
            self._store.team,
        )
        return total

    def _given(self, decision: Decision | None, scales: bool) -> Sequence[Tensor | None]:
        if decision is None:
            return (None,) * 4
        on = decision.on.contiguous()
        if not scales:
            return on, None, None, None
        weight = decision.weight.to(self._store.dtype).contiguous()
        if decision.channels is None:
            return on, weight, None, None
        salience = decision.channels.weight.to(self._store.dtype).contiguous()
        return on, weight, decision.channels.on.contiguous(), salience
