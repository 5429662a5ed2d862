"""A network whose routers and gates run in compiled code, too: one call from stem to head."""

import ctypes
from collections.abc import Iterable, Sequence
from itertools import groupby, repeat

import torch
from torch import Tensor

from dyncore.engine._compiled import Batch, Gate, Router, Step
from dyncore.engine._head import NativeHead
from dyncore.engine._native import NativeBlock
from dyncore.engine._network import Part, PlannedNetwork
from dyncore.engine._packing import Store, pointers
from dyncore.engine._plan import Plan
from dyncore.gating import Affine, Decision, ExecutionPath, LeanGate, LeanRouter

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
        self._widest = store.lanes
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
                self._widest = max(self._widest, width, scores)
            steps.append(step)
        self._pooled, self._features = _Rows(pooled), _Rows(features, dim)
        self._paths, self._channels = _Rows(paths), _Rows(channels)
        self._not_gated = {len(b.plan.paths) for b in self.blocks if not b.plan.router}
        self._steps = (Step * len(steps))(*steps)

    def run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        """See :meth:`PlannedNetwork.run`."""
        if path is not None or self._steps is None:
            return super().run(images, path)
        return self._run(images)

    @torch.no_grad()
    def _run(self, images: Tensor) -> Part:
        assert self._steps is not None
        count, dtype, threads = len(images), self._store.dtype, self._store.threads
        maps = [self.stem(images), *(m.take(count) for m in self._maps[1:])]
        pooled = self._pooled.empty(count, dtype)
        features = self._features.empty(count, dtype)
        weight = self._paths.empty(count, dtype)
        on = self._paths.empty(count, torch.bool)
        channel_weight = self._channels.empty(count, dtype)
        channel_on = self._channels.empty(count, torch.bool)
        scratch = torch.empty(threads, 2 * -(-count // threads) * self._widest, dtype=dtype)
        of_threads = pointers(scratch)
        addresses = [m.start(x) for m, x in zip(self._maps, maps, strict=True)]
        starts = (ctypes.c_void_p * len(addresses))(*addresses)
        batch = Batch(
            ctypes.addressof(starts),
            pooled.data_ptr(),
            features.data_ptr(),
            weight.data_ptr(),
            channel_weight.data_ptr(),
            on.data_ptr(),
            channel_on.data_ptr(),
            ctypes.addressof(of_threads),
            count,
        )
        self._store.code.run_network(
            self._steps, len(self._steps), ctypes.addressof(batch), self._store.team
        )
        logits, x = self.answer(maps[-1])
        averages = self._pooled.split(pooled, count)
        decided = map(
            Decision,
            self._paths.split(on, count),
            self._paths.split(weight, count),
            self._of_channels(channel_on, count),
            self._of_channels(channel_weight, count),
        )
        own = self._features.split(features, count) if self._features.total else averages
        routed = zip(decided, own, averages, strict=False)
        always = {n: Decision.always_on(x, n) for n in self._not_gated}
        by_block: list[tuple[Decision, Tensor | None, Tensor | None]] = [
            next(routed) if block.plan.router else (always[len(block.plan.paths)], None, None)
            for block in self.blocks
        ]
        decisions, router_features, pools = (list(column) for column in zip(*by_block, strict=True))
        return Part(logits, decisions, router_features, pools, x)

    def _of_channels(self, buffer: Tensor, images: int) -> Iterable[Tensor | None]:
        if not self._channels.total:
            return repeat(None)
        rows = self._channels.split(buffer, images)
        return (row if row.shape[1] else None for row in rows)

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`PlannedNetwork.answer`."""
        if self.head is None:
            return super().answer(x)
        return self.head.run(x, self.blocks[-1].maps), self.finish(x)

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


class _Rows:
    """So many numbers of every image for each router; a batch's lie together, router by router."""

    def __init__(self, widths: Sequence[int], shown: int | None = None) -> None:
        """``shown``: how many of a row's numbers mean something; None: all."""
        self.total = sum(widths)
        self._shown = shown
        self._alike = [(width, len(list(same))) for width, same in groupby(widths)]

    def empty(self, images: int, dtype: torch.dtype) -> Tensor:
        """For a batch."""
        return torch.empty(images * self.total, dtype=dtype)

    def split(self, buffer: Tensor, images: int) -> list[Tensor]:
        """(images, width) of each router."""
        parts = buffer.split([images * width * count for width, count in self._alike])
        return [
            rows
            for part, (width, count) in zip(parts, self._alike, strict=True)
            for rows in part.view(count, images, width)[:, :, : self._shown].unbind(0)
        ]
