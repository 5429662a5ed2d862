"""A network whose routers and gates run in compiled code, too: one call from stem to head."""

import ctypes
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from dyncore.engine._compiled import Batch, Gate, Router, Step, library
from dyncore.engine._native import NativeBlock
from dyncore.engine._network import Part, PlannedNetwork
from dyncore.engine._packing import Store
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
    _steps: ctypes.Array[Step] | None = None

    def route_natively(self, store: Store, team: int) -> None:
        """From now on do without torch between the blocks where no path is forced."""
        code = library(store.dtype)
        assert code is not None, "the runner was built with it"
        self._code, self._store, self._team = code, store, team
        self._maps = [self.blocks[0].before]
        self._pooled: list[int] = []
        self._features: list[int] = []
        self._widest = store.lanes
        state: list[int] = []
        steps = []
        on = channels = 0
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
                pooled=sum(self._pooled),
                feature=sum(self._features),
                on=on,
                channels=channels,
            )
            if isinstance(plan.router, LeanRouter) and isinstance(plan.gate, LeanGate):
                earlier = list(reversed(state))
                step.router = ctypes.pointer(self._router(plan.router, len(earlier)))
                step.gate = ctypes.pointer(self._gate(plan.gate))
                step.earlier = (ctypes.c_int64 * max(1, len(earlier)))(*earlier)
                if plan.router.memory:
                    state = [*state, sum(self._features)][-plan.router.memory :]
                aligned = plan.router.align
                width = 0 if aligned is None else store.filled(aligned.weight.shape[0])
                self._features.append(width)
                self._pooled.append(plan.in_size[0])
                self._widest = max(
                    self._widest, width, store.filled(plan.gate.head.weight.shape[0])
                )
                on += plan.gate.paths
                channels += plan.gate.channels
            steps.append(step)
        self._steps = (Step * len(steps))(*steps)
        self._gates = [b.plan.gate for b in self.blocks if isinstance(b.plan.gate, LeanGate)]

    def run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        """See :meth:`PlannedNetwork.run`."""
        if path is not None or self._steps is None:
            return super().run(images, path)
        return self._run(images)

    @torch.no_grad()
    def _run(self, images: Tensor) -> Part:
        count, dtype, gates = len(images), self._store.dtype, self._gates
        maps = [self.stem(images), *(m.take(count) for m in self._maps[1:])]
        paths, channels = [gate.paths for gate in gates], [gate.channels for gate in gates]
        pooled = torch.empty(count * sum(self._pooled), dtype=dtype)
        features = torch.empty(count * sum(self._features), dtype=dtype)
        weight = torch.empty(count * sum(paths), dtype=dtype)
        on = torch.empty(count * sum(paths), dtype=torch.bool)
        channel_weight = torch.empty(count * sum(channels), dtype=dtype)
        channel_on = torch.empty(count * sum(channels), dtype=torch.bool)
        threads = self._store.threads
        scratch = torch.empty(threads, 2 * -(-count // threads) * self._widest, dtype=dtype)
        orders = torch.empty(threads, count, dtype=torch.int32)
        starts = _array([m.start(x) for m, x in zip(self._maps, maps, strict=True)])
        of_threads = _array([row.data_ptr() for row in scratch])
        of_orders = _array([row.data_ptr() for row in orders])
        batch = Batch(
            ctypes.addressof(starts),
            pooled.data_ptr(),
            features.data_ptr(),
            weight.data_ptr(),
            channel_weight.data_ptr(),
            on.data_ptr(),
            channel_on.data_ptr(),
            ctypes.addressof(of_threads),
            ctypes.addressof(of_orders),
            count,
        )
        assert self._steps is not None
        self._code.run_network(self._steps, len(self._steps), ctypes.addressof(batch), self._team)
        decided = iter(
            zip(
                _rows(on, paths, count),
                _rows(weight, paths, count),
                _rows(channel_on, channels, count),
                _rows(channel_weight, channels, count),
                _rows(pooled, self._pooled, count),
                _rows(features, self._features, count),
                strict=True,
            )
        )
        x = self.finish(maps[-1])
        decisions: list[Decision] = []
        router_features: list[Tensor | None] = []
        pools: list[Tensor | None] = []
        for block in self.blocks:
            router = block.plan.router
            if not isinstance(router, LeanRouter):
                decisions.append(Decision.always_on(x, len(block.plan.paths)))
                router_features.append(None)
                pools.append(None)
                continue
            chosen, by, channel_chosen, channel_by, seen, feature = next(decided)
            some = bool(block.plan.channels)
            decisions.append(
                Decision(chosen, by, channel_chosen if some else None, channel_by if some else None)
            )
            width = 0 if router.align is None else router.align.weight.shape[0]
            router_features.append(feature[:, :width] if width else seen)
            pools.append(seen)
        return Part(self.plan.head(x), decisions, router_features, pools, x)

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


def _array(addresses: Sequence[int]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _rows(buffer: Tensor, widths: Sequence[int], images: int) -> list[Tensor]:
    """A buffer of so many numbers per image for each router, as one (images, width) for each."""
    rows: list[Tensor] = []
    for width, same in groupby(widths):
        count = len(list(same))
        first = images * sum(widths[: len(rows)])
        part = buffer[first : first + count * images * width]
        rows += part.view(count, images, width).unbind(0)
    return rows
