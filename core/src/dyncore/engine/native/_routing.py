"""Routers and gates in compiled code, between the blocks: what one call runs through."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dyncore.engine.native import _structs as structs
from dyncore.engine.native._batch import Rows, Widths
from dyncore.engine.native._block import NativeBlock
from dyncore.engine.native._head import NativeHead
from dyncore.engine.native._packing import Maps, Store
from dyncore.engine.native._stem import NativeStem
from dyncore.gating import Affine, GateWeights, RouterWeights


@dataclass(frozen=True)
class Routing:
    """All blocks of a network as steps, and where in a batch's memory each one's numbers lie."""

    steps: ctypes.Array[structs.Step]
    parts: structs.Parts
    """The steps, with stem and head where those are compiled."""
    maps: Sequence[Maps]
    """Those that the steps run on, in the order in which an image meets them."""
    widths: Widths

    @classmethod
    def of(
        cls,
        blocks: Sequence[NativeBlock],
        stem: NativeStem | None,
        head: NativeHead | None,
        store: Store,
    ) -> "Routing":
        """All of ``blocks``, whose routers and gates are known as weights."""
        maps = [blocks[0].before]
        places = _Places(store)
        steps = []
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            router, gate = block.plan.router, block.plan.gate
            in_map = len(maps) - 1
            if not block.plan.keeps_input:
                maps.append(block.maps)
            step = structs.Step(
                ctypes.pointer(block.block),
                scratch=ctypes.addressof(block.scratch),
                buffers=ctypes.addressof(block.buffers),
                in_map=in_map,
                out_map=len(maps) - 1,
                pools=following is not None and following.plan.router is not None,
                pooled=sum(places.pooled),
                feature=sum(places.features),
                on=sum(places.paths),
                channels=sum(places.channels),
            )
            if isinstance(router, RouterWeights) and isinstance(gate, GateWeights):
                earlier = places.remembered[::-1]
                step.router = ctypes.pointer(_router(router, len(earlier), store))
                step.gate = ctypes.pointer(_gate(gate, store))
                step.earlier = (ctypes.c_int64 * len(earlier))(*earlier)
                places.add(block.plan.in_size[0], router, gate)
            steps.append(step)
        array = (structs.Step * len(steps))(*steps)
        parts = structs.Parts(
            ctypes.pointer(stem.form) if stem else None,
            array,
            len(steps),
            ctypes.pointer(head.form) if head else None,
            store.team,
        )
        return cls(array, parts, maps, places.widths(head.width if head else 0))


class _Places:
    """How many numbers per image the routers and gates seen so far have, of each kind."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.pooled: list[int] = []
        self.features: list[int] = []
        self.paths: list[int] = []
        self.channels: list[int] = []
        self.remembered: list[int] = []
        """Places of the features that the next router may read, newest last."""
        self._dim = 0
        self._widest = store.lanes

    def add(self, in_channels: int, router: RouterWeights, gate: GateWeights) -> None:
        """Go on behind this router and its gate."""
        if router.memory:
            self.remembered = [*self.remembered, sum(self.features)][-router.memory :]
        self._dim = 0 if router.align is None else router.align.weight.shape[0]
        width = self._store.filled(self._dim)
        scores = self._store.filled(gate.head.weight.shape[0])
        self._widest = max(self._widest, width, scores)
        self.pooled.append(in_channels)
        self.features.append(width)
        self.paths.append(gate.paths)
        self.channels.append(gate.channels)

    def widths(self, head: int) -> Widths:
        """All of them, and ``head``'s."""
        return Widths(
            Rows(self.pooled),
            Rows(self.features, self._dim),
            Rows(self.paths),
            Rows(self.channels),
            self._widest,
            head,
        )


def _router(router: RouterWeights, earlier: int, store: Store) -> structs.Router:
    decays = torch.tensor(router.decays[:earlier], dtype=store.dtype)
    return structs.Router(
        _affine(router.align, store),
        _affine(router.mix, store),
        _affine(router.history, store),
        len(decays),
        store.keep(decays) if len(decays) else None,
    )


def _gate(gate: GateWeights, store: Store) -> structs.Gate:
    head = _affine(gate.head, store)
    own = gate.threshold is not None and gate.threshold.ndim > 0
    flags = gate.clamps, gate.decides_paths, gate.keep_one, own
    threshold = store.watch(gate.threshold)
    return structs.Gate(head, gate.paths, gate.channels, gate.channel_group, *flags, threshold)


def _affine(affine: Affine | None, store: Store) -> object:
    return None if affine is None else ctypes.pointer(store.affine(affine))
