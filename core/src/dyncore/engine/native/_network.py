"""A network of compiled blocks: one call from stem to head where routers are compiled, too."""

import ctypes
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat

import torch
from torch import Tensor

from dyncore.engine._executor import Executor, Part, repeat_torch_router, walk
from dyncore.engine.native._batch import Layout, Memory
from dyncore.engine.native._block import NativeBlock
from dyncore.engine.native._head import NativeHead
from dyncore.engine.native._module_block import ModuleBlock
from dyncore.engine.native._packing import Store
from dyncore.engine.native._routing import Routing
from dyncore.engine.native._stem import NativeStem
from dyncore.engine.plan import Plan
from dyncore.gating import Choice, Decision, Deferred, ExecutionPath, RouterState


class NativeNetwork(Executor):
    """Compiled blocks, with torch's stem, routers or head where those are not compiled."""

    def __init__(
        self,
        plan: Plan,
        blocks: Sequence[NativeBlock | ModuleBlock],
        stem: NativeStem | None,
        head: NativeHead | None,
        routing: Routing | None,
        store: Store,
    ) -> None:
        """``routing``: the blocks with their routers and gates, if those are all compiled."""
        self.plan = plan
        self.blocks = blocks
        self.native_stem, self.native_head, self.routing = stem, head, routing
        self._store = store
        self._first, self._last = blocks[0].before, blocks[-1].maps
        self._maps = {m.size: m for m in (self._first, *(block.maps for block in blocks))}
        self._not_gated = {len(b.plan.paths) for b in blocks if not b.plan.router}
        self._layout: Layout | None = None

    def run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        """Decide, unless ``path`` does, and run."""
        if self.routing is None or not self._decides_all(self.routing, path):
            return walk(self, images, path)
        return self._run(self.routing, images, path)

    def is_one_call(self, path: ExecutionPath | None) -> bool:
        """Whether a run is one call of compiled code, without torch."""
        return self._whole and self.routing is not None and self._decides_all(self.routing, path)

    @property
    def _whole(self) -> bool:
        """Whether stem and head are compiled code, too."""
        return self.native_stem is not None and self.native_head is not None

    def _decides_all(self, routing: Routing, path: ExecutionPath | None) -> bool:
        """Whether it says of channels, too, which of them are on, if it is forced."""
        return (
            path is None
            or not routing.widths.channels.total
            or all(
                not block.plan.channels or decision.channels is not None
                for block, decision in zip(self.blocks, path, strict=True)
            )
        )

    def _run(self, routing: Routing, images: Tensor, path: ExecutionPath | None) -> Part:
        count = images.shape[0]
        layout = self._laid_out(routing, count, forced=path is not None)
        memory = Memory(layout)
        if path is not None:
            decided = zip(self.blocks, path, strict=True)
            memory.force([decision for block, decision in decided if block.plan.router])
        if self.native_stem is None:
            self.stem(images)
        logits, x = (None, None) if self.native_head is None else self.native_head.answer(count)
        self._store.code.run_network(
            ctypes.addressof(routing.parts),
            layout.address,
            memory.address,
            images.data_ptr(),
            (ctypes.c_int64 * 4)(*images.stride()),
            None if logits is None else logits.data_ptr(),
            None if x is None else x.data_ptr(),
        )
        if logits is None or x is None:
            logits, x = self._torch_head(routing.maps[-1].take(count))
        decisions = Deferred(partial(self._decisions, routing, memory))
        if path is not None:
            none = [None] * len(self.blocks)
            return Part(logits, decisions, none, none, x)
        averages = Deferred(partial(self._averages, routing, memory))
        router_features = averages
        if routing.widths.features.total:
            router_features = Deferred(partial(self._features, routing, memory))
        return Part(logits, decisions, router_features, averages, x)

    def _laid_out(self, routing: Routing, images: int, *, forced: bool) -> Layout:
        """That of the last call, if it was alike and torch has no part in it."""
        last = self._layout
        if last is None or (last.images, last.forced) != (images, forced) or not self._whole:
            self._layout = last = self._lay_out(routing, images, forced=forced)
        return last

    @torch.inference_mode(False)
    def _lay_out(self, routing: Routing, images: int, *, forced: bool) -> Layout:
        """For calls of any mode."""
        maps = [(m, m.take(images)) for m in routing.maps]
        return Layout(routing.widths, images, maps, self._store, forced=forced)

    def stem(self, images: Tensor) -> Tensor:
        """See :meth:`Executor.stem`."""
        x = self._first.take(len(images))
        if self.native_stem is not None:
            self.native_stem.run(images, self._first.start(x))
            return x
        last = images.contiguous(memory_format=torch.channels_last)
        return self._first.put(x, self.plan.stem(last))

    def copy(self, x: Tensor) -> Tensor:
        """See :meth:`Executor.copy`."""
        if x.shape[1:] not in self._maps:
            return x.clone()
        maps = self._maps[x.shape[1:]]
        return maps.put(maps.take(len(x), own=True), x)

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Executor.head`."""
        return (
            self._torch_head(x) if self.native_head is None else self.native_head.run(x, self._last)
        )

    def repeat_router(self, index: int, x: Tensor, state: RouterState, times: int) -> RouterState:
        """See :meth:`Executor.repeat_router`; compiled routers keep their own state."""
        if self.routing is None:
            return repeat_torch_router(self.plan.blocks[index], x, state, times)
        step = self.routing.steps[index]
        maps = [(self.routing.maps[step.in_map], x)] * len(self.routing.maps)
        layout = Layout(self.routing.widths, len(x), maps, self._store, forced=False)
        memory = Memory(layout)
        memory.features.zero_()
        self._store.code.run_router(
            ctypes.addressof(step), layout.address, memory.address, times, self._store.team
        )
        return state

    def _torch_head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Pixel by pixel: torch copies maps with borders as (B, C, H, W) ten times slower.
        pixels = x.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
        x = pixels.permute(0, 3, 1, 2)
        return self.plan.head(x), x

    def _decisions(self, routing: Routing, memory: Memory) -> list[Decision]:
        count, paths = memory.images, routing.widths.paths
        on, weight, channel_on, channel_weight = memory.decided
        chosen = map(Choice, paths.split(on, count), paths.split(weight, count))
        channels = _of_channels(routing, channel_on, channel_weight, count)
        decided = map(Decision, chosen, channels)
        always = {n: Decision.always_on(weight.new_empty(count), n) for n in self._not_gated}
        return [
            next(decided) if block.plan.router else always[len(block.plan.paths)]
            for block in self.blocks
        ]

    def _averages(self, routing: Routing, memory: Memory) -> list[Tensor | None]:
        return self._where_routed(routing.widths.pooled.split(memory.pooled, memory.images))

    def _features(self, routing: Routing, memory: Memory) -> list[Tensor | None]:
        return self._where_routed(routing.widths.features.split(memory.features, memory.images))

    def _where_routed(self, rows: Iterable[Tensor]) -> list[Tensor | None]:
        routed = iter(rows)
        return [next(routed) if block.plan.router else None for block in self.blocks]


def _of_channels(
    routing: Routing, on: Tensor, weight: Tensor, images: int
) -> Iterable[Choice | None]:
    widths = routing.widths.channels
    if not widths.total:
        return repeat(None)
    rows = zip(widths.split(on, images), widths.split(weight, images), strict=True)
    return (Choice(*row) if row[0].shape[1] else None for row in rows)
