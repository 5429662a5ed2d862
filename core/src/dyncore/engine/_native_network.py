"""A network whose routers and gates run in compiled code, too: one call from stem to head."""

import ctypes
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat

import torch
from torch import Tensor

from dyncore.engine._compiled import Gate, Parts, Router, Step
from dyncore.engine._deferred import Deferred
from dyncore.engine._head import NativeHead
from dyncore.engine._native import NativeBlock
from dyncore.engine._native_batch import Layout, Memory, Rows, Widths
from dyncore.engine._network import Part, PlannedNetwork
from dyncore.engine._packing import Store
from dyncore.engine._plan import Plan
from dyncore.engine._stem import NativeStem
from dyncore.gating import (
    Affine,
    Choice,
    Decision,
    ExecutionPath,
    LeanGate,
    LeanRouter,
    RouterState,
)

MOST_EARLIER = 64


def routes_natively(plan: Plan) -> bool:
    """Whether compiled code knows all routers and gates."""
    routers = [block.router for block in plan.blocks if block.router is not None]
    gates = [block.gate for block in plan.blocks if block.gate is not None]
    widths = {r.align.weight.shape[0] for r in routers if isinstance(r, LeanRouter) and r.align}
    return (
        all(isinstance(router, LeanRouter) for router in routers)
        and all(isinstance(gate, LeanGate) for gate in gates)
        and len(widths) <= 1
        and max((len(r.decays) for r in routers if isinstance(r, LeanRouter)), default=0)
        <= MOST_EARLIER
    )


class NativeNetwork(PlannedNetwork):
    """Compiled blocks, and compiled routers where they are known."""

    blocks: Sequence[NativeBlock]
    compiled_stem: NativeStem | None = None
    compiled_head: NativeHead | None = None
    _steps: ctypes.Array[Step] | None = None
    _layout: Layout | None = None

    def route_natively(self, store: Store) -> None:
        """From now on do without torch between the blocks where no path is forced."""
        self._store = store
        self._maps = [self.blocks[0].before]
        widest = store.lanes
        pooled: list[int] = []
        features: list[int] = []
        paths: list[int] = []
        channels: list[int] = []
        dim = 0
        state: list[int] = []
        steps = []
        for index, block in enumerate(self.blocks):
            plan = block.plan
            before = len(self._maps) - 1
            if not plan.keeps_input:
                self._maps.append(block.maps)
            following = self.blocks[index + 1 : index + 2]
            step = Step(
                ctypes.pointer(block.block),
                scratch=ctypes.addressof(block.scratch),
                buffers=ctypes.addressof(block.buffers),
                in_map=before,
                out_map=len(self._maps) - 1,
                pools=any(after.plan.router is not None for after in following),
                pooled=sum(pooled),
                feature=sum(features),
                on=sum(paths),
                channels=sum(channels),
            )
            router, gate = plan.router, plan.gate
            if isinstance(router, LeanRouter) and isinstance(gate, LeanGate):
                earlier = list(reversed(state))
                step.router = ctypes.pointer(self._router(router, len(earlier)))
                step.gate = ctypes.pointer(self._gate(gate))
                step.earlier = (ctypes.c_int64 * len(earlier))(*earlier)
                if router.memory:
                    state = [*state, sum(features)][-router.memory :]
                dim = 0 if router.align is None else router.align.weight.shape[0]
                width = store.filled(dim)
                features.append(width)
                pooled.append(plan.in_size[0])
                paths.append(gate.paths)
                channels.append(gate.channels)
                scores = store.filled(gate.head.weight.shape[0])
                widest = max(widest, width, scores)
            steps.append(step)
        stem, head = self.compiled_stem, self.compiled_head
        self._widths = Widths(
            Rows(pooled),
            Rows(features, dim),
            Rows(paths),
            Rows(channels),
            widest,
            head.width if head else 0,
        )
        self._not_gated = {len(b.plan.paths) for b in self.blocks if not b.plan.router}
        self._steps = (Step * len(steps))(*steps)
        self._parts = Parts(
            ctypes.pointer(stem.form) if stem else None,
            self._steps,
            len(steps),
            ctypes.pointer(head.form) if head else None,
            store.team,
        )

    def run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        """See :meth:`PlannedNetwork.run`."""
        return self._run(images, path) if self._calls_once(path) else super().run(images, path)

    def is_one_call(self, path: ExecutionPath | None) -> bool:
        """Whether a run is one call of compiled code, without torch."""
        return self._whole and self._calls_once(path)

    @property
    def _whole(self) -> bool:
        """Whether stem and head are compiled code, too."""
        return self.compiled_stem is not None and self.compiled_head is not None

    def _calls_once(self, path: ExecutionPath | None) -> bool:
        """Whether compiled code runs all blocks without torch between them."""
        return self._steps is not None and (path is None or self._decides_all(path))

    def _decides_all(self, path: ExecutionPath) -> bool:
        """Whether the path says of channels, too, which of them are on."""
        return not self._widths.channels.total or all(
            not block.plan.channels or decision.channels is not None
            for block, decision in zip(self.blocks, path, strict=True)
        )

    def _run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        count = images.shape[0]
        layout = self._laid_out(count, forced=path is not None)
        memory = Memory(layout)
        if path is not None:
            decided = zip(self.blocks, path, strict=True)
            memory.force([decision for block, decision in decided if block.plan.router])
        if self.compiled_stem is None:
            self.stem(images)
        logits, x = (None, None) if self.compiled_head is None else self.compiled_head.answer(count)
        self._store.code.run_network(
            ctypes.addressof(self._parts),
            layout.address,
            memory.address,
            images.data_ptr(),
            (ctypes.c_int64 * 4)(*images.stride()),
            None if logits is None else logits.data_ptr(),
            None if x is None else x.data_ptr(),
        )
        if logits is None or x is None:
            logits, x = super().answer(self._maps[-1].take(count))
        decisions = Deferred(partial(self._decisions, memory))
        if path is not None:
            none = [None] * len(self.blocks)
            return Part(logits, decisions, none, none, x)
        averages = Deferred(partial(self._averages, memory))
        router_features = averages
        if self._widths.features.total:
            router_features = Deferred(partial(self._features, memory))
        return Part(logits, decisions, router_features, averages, x)

    def _laid_out(self, images: int, *, forced: bool) -> Layout:
        """That of the last call, if it was alike and torch has no part in it."""
        last = self._layout
        if last is None or (last.images, last.forced) != (images, forced) or not self._whole:
            self._layout = last = self._lay_out(images, forced=forced)
        return last

    @torch.inference_mode(False)
    def _lay_out(self, images: int, *, forced: bool) -> Layout:
        """For calls of any mode."""
        maps = [(m, m.take(images)) for m in self._maps]
        return Layout(self._widths, images, maps, self._store, forced=forced)

    def repeat_router(self, index: int, x: Tensor, state: RouterState, times: int) -> RouterState:
        """See :meth:`PlannedNetwork.repeat_router`; compiled routers keep their own state."""
        if self._steps is None:
            return super().repeat_router(index, x, state, times)
        step = self._steps[index]
        maps = [(self._maps[step.in_map], x)] * len(self._maps)
        layout = Layout(self._widths, len(x), maps, self._store, forced=False)
        memory = Memory(layout)
        memory.features.zero_()
        self._store.code.run_router(
            ctypes.addressof(step), layout.address, memory.address, times, self._store.team
        )
        return state

    def _decisions(self, memory: Memory) -> list[Decision]:
        count, paths = memory.images, self._widths.paths
        on, weight, channel_on, channel_weight = memory.decided
        chosen = map(Choice, paths.split(on, count), paths.split(weight, count))
        decided = map(Decision, chosen, self._of_channels(channel_on, channel_weight, count))
        always = {n: Decision.always_on(weight.new_empty(count), n) for n in self._not_gated}
        return [
            next(decided) if block.plan.router else always[len(block.plan.paths)]
            for block in self.blocks
        ]

    def _averages(self, memory: Memory) -> list[Tensor | None]:
        return self._where_routed(self._widths.pooled.split(memory.pooled, memory.images))

    def _features(self, memory: Memory) -> list[Tensor | None]:
        return self._where_routed(self._widths.features.split(memory.features, memory.images))

    def _where_routed(self, rows: Iterable[Tensor]) -> list[Tensor | None]:
        routed = iter(rows)
        return [next(routed) if block.plan.router else None for block in self.blocks]

    def _of_channels(self, on: Tensor, weight: Tensor, images: int) -> Iterable[Choice | None]:
        widths = self._widths.channels
        if not widths.total:
            return repeat(None)
        rows = zip(widths.split(on, images), widths.split(weight, images), strict=True)
        return (Choice(*row) if row[0].shape[1] else None for row in rows)

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`PlannedNetwork.answer`."""
        return (
            super().answer(x)
            if self.compiled_head is None
            else self.compiled_head.run(x, self.blocks[-1].maps)
        )

    def _router(self, router: LeanRouter, earlier: int) -> Router:
        decays = torch.tensor(router.decays[:earlier], dtype=self._store.dtype)
        return Router(
            self._affine(router.align),
            self._affine(router.mix),
            self._affine(router.history),
            len(decays),
            self._store.keep(decays) if len(decays) else None,
        )

    def _gate(self, gate: LeanGate) -> Gate:
        head = self._affine(gate.head)
        flags = gate.clamps, gate.decides_paths, gate.keep_one
        return Gate(head, gate.paths, gate.channels, gate.channel_group, *flags)

    def _affine(self, affine: Affine | None) -> object:
        return None if affine is None else ctypes.pointer(self._store.affine(affine))
