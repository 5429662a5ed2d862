"""A network whose routers and gates run in compiled code, too: one call from stem to head."""

import ctypes
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat

import torch
from torch import Tensor

from dyncore.engine._compiled import Gate, Router, Step
from dyncore.engine._deferred import Deferred
from dyncore.engine._head import NativeHead
from dyncore.engine._native import NativeBlock
from dyncore.engine._native_batch import Memory, Rows, Scratch, Widths
from dyncore.engine._network import Part, PlannedNetwork
from dyncore.engine._packing import Store
from dyncore.engine._plan import Plan
from dyncore.gating import Affine, Decision, ExecutionPath, LeanGate, LeanRouter, RouterState

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
    head: NativeHead | None = None
    _steps: ctypes.Array[Step] | None = None

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
        self._widths = Widths(
            Rows(pooled), Rows(features, dim), Rows(paths), Rows(channels), widest
        )
        self._scratch = Scratch(self._widths, store.threads, store.dtype)
        self._not_gated = {len(b.plan.paths) for b in self.blocks if not b.plan.router}
        self._steps = (Step * len(steps))(*steps)

    def run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        """See :meth:`PlannedNetwork.run`."""
        return self._run(images, path) if self.calls_once(path) else super().run(images, path)

    def calls_once(self, path: ExecutionPath | None) -> bool:
        """Whether a run is one call of compiled code, without torch between the blocks."""
        return self._steps is not None and (path is None or self._decides_all(path))

    def _decides_all(self, path: ExecutionPath) -> bool:
        """Whether the path says of channels, too, which of them are on."""
        return all(
            not block.plan.channels or decision.channel_weight is not None
            for block, decision in zip(self.blocks, path, strict=True)
        )

    @torch.no_grad()
    def _run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        assert self._steps is not None
        count = images.shape[0]
        maps = [self.stem(images), *(m.take(count) for m in self._maps[1:])]
        memory = self._memory(count)
        if path is not None:
            decided = zip(self.blocks, path, strict=True)
            memory.force([decision for block, decision in decided if block.plan.router])
        addresses = [m.start(x) for m, x in zip(self._maps, maps, strict=True)]
        batches, _alive = memory.batches(addresses, self._scratch, forced=path is not None)
        self._store.code.run_network(
            self._steps, len(self._steps), ctypes.addressof(batches), self._store.team
        )
        logits, x = self.answer(maps[-1])
        decisions = Deferred(partial(self._decisions, memory))
        if path is not None:
            none = [None] * len(self.blocks)
            return Part(logits, decisions, none, none, x)
        averages = Deferred(partial(self._averages, memory))
        router_features = averages
        if self._widths.features.total:
            router_features = Deferred(partial(self._features, memory))
        return Part(logits, decisions, router_features, averages, x)

    def repeat_router(self, index: int, x: Tensor, state: RouterState, times: int) -> RouterState:
        """See :meth:`PlannedNetwork.repeat_router`; compiled routers keep their own state."""
        if self._steps is None:
            return super().repeat_router(index, x, state, times)
        step = self._steps[index]
        memory = self._memory(len(x))
        memory.features.zero_()
        before = self._maps[step.in_map].start(x)
        batches, _alive = memory.batches([before] * len(self._maps), self._scratch)
        self._store.code.run_router(
            ctypes.addressof(step), ctypes.addressof(batches), times, self._store.team
        )
        return state

    def _memory(self, images: int) -> Memory:
        return Memory(self._widths, images, self._store.threads, self._store.dtype)

    def _decisions(self, memory: Memory) -> list[Decision]:
        count, paths = memory.images, self._widths.paths
        on, weight, channel_on, channel_weight = memory.decided
        decided = map(
            Decision,
            paths.split(on, count),
            paths.split(weight, count),
            self._of_channels(channel_on, count),
            self._of_channels(channel_weight, count),
        )
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

    def _of_channels(self, buffer: Tensor, images: int) -> Iterable[Tensor | None]:
        if not self._widths.channels.total:
            return repeat(None)
        rows = self._widths.channels.split(buffer, images)
        return (row if row.shape[1] else None for row in rows)

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`PlannedNetwork.answer`."""
        return super().answer(x) if self.head is None else self.head.run(x, self.blocks[-1].maps)

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
        return Gate(head, gate.paths, gate.channels, *flags)

    def _affine(self, affine: Affine | None) -> object:
        return None if affine is None else ctypes.pointer(self._store.affine(affine))
