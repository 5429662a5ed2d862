"""The backend of compiled networks: threads, portions of images."""

from functools import partial

import torch
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._backend import Backend
from dyncore.engine._executor import Part
from dyncore.engine._measure import measure
from dyncore.engine.native._block import NativeBlock, Rounding
from dyncore.engine.native._head import NativeHead
from dyncore.engine.native._module_block import ModuleBlock
from dyncore.engine.native._network import NativeNetwork
from dyncore.engine.native._packing import Maps, Store
from dyncore.engine.native._routing import Routing
from dyncore.engine.native._stem import NativeStem
from dyncore.engine.native._supported import (
    routes,
    runs_compiled,
    supports_head,
    supports_stem,
)
from dyncore.engine.native._team import Crew, Team
from dyncore.engine.plan import FoldedHead, FoldedStem, Plan
from dyncore.gating import ExecutionPath

MAX_MAP_BYTES = 2**25
"""Bytes that the largest map of a portion of images may take: caches do not hold more."""


class NativeBackend(Backend):
    """A planned network that a team of threads runs; one call runs at a time.

    In a process that was forked off the network is packed again, for the threads that are there.
    """

    def __init__(self, plan: Plan, images: Tensor, team: Team, *, rounds: bool = False) -> None:
        """``plan`` must be one that is supported, ``images`` like those to come.

        ``rounds``: in bfloat16; ``team`` is then one of that code.
        """
        self.plan, self.rounds = plan, rounds
        self._team, self._image = team, images[:1]
        self._process = _Process(plan, self._image, team.here(), rounds)

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """Parts in the order of the images."""
        return self._here().run(images, path)

    def profile(self, images: Tensor) -> CostTable:
        """Times per image at this batch size."""
        return self._here().profile(images)

    @property
    def modules(self) -> tuple[str, ...]:
        """What runs as a module, and blocks that are folded, but not in compiled code."""
        named = self.plan.modules
        blocks = {name.partition(" path")[0].partition(" shortcut")[0] for name in named}
        in_torch = [
            f"block {index}"
            for index, block in enumerate(self.plan.blocks)
            if not runs_compiled(block)
        ]
        return (*named, *(name for name in in_torch if name not in blocks))

    @property
    def network(self) -> NativeNetwork:
        """What runs in this process."""
        return self._here().network

    def _here(self) -> "_Process":
        crew = self._team.here()
        if self._process.crew is not crew:
            self._process = _Process(self.plan, self._image, crew, self.rounds)
        return self._process


class _Process:
    """The network in one process.

    A call that needs operations of torch goes to the crew's thread for them. Others stay on the
    caller's, as the way there and back takes some 0.1 ms.
    """

    def __init__(self, plan: Plan, image: Tensor, crew: Crew, rounds: bool) -> None:
        self.crew = crew
        store = Store(crew, image.dtype)
        self.network = build(plan, image, store, rounds)
        sizes = (plan.blocks[0].in_size, *(block.out_size for block in plan.blocks))
        largest = max(store.map(size).numbers for size in sizes) * image.element_size()
        self._portion = max(MAX_MAP_BYTES // largest, 2 * crew.threads)

    def run(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """See :meth:`Backend.__call__`."""
        with self.crew.lock:
            if self.network.is_one_call(path):
                return self._run(images, path)
            return self.crew.with_torch(partial(self._run_with_torch, images, path))

    def profile(self, images: Tensor) -> CostTable:
        """See :meth:`Backend.profile`."""
        with self.crew.lock:
            return self.crew.with_torch(partial(measure, self.network, images))

    @torch.inference_mode(False)
    @torch.no_grad()
    def _run_with_torch(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        return self._run(images, path)

    def _run(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        count = images.shape[0]
        if count <= self._portion:
            return [self.network.run(images, path)]
        parts = []
        for first in range(0, count, self._portion):
            rows = slice(first, first + self._portion)
            some = None if path is None else path.images(rows)
            parts.append(self.network.run(images[rows], some))
        return parts


@torch.no_grad()
def build(plan: Plan, image: Tensor, store: Store, rounds: bool) -> NativeNetwork:
    """All parts of ``plan`` that compiled code knows, packed; in bfloat16 if it ``rounds``."""
    first = maps = Maps(plan.blocks[0].in_size, store)
    stem = head = None
    if isinstance(plan.stem, FoldedStem) and supports_stem(plan.stem):
        stem = NativeStem(plan.stem, image, first, store, rounds=rounds)
    if isinstance(plan.head, FoldedHead) and supports_head(plan.head):
        head = NativeHead(plan.head, plan.blocks[-1].out_size, store, rounds=rounds)
    blocks: list[NativeBlock | ModuleBlock] = []
    for block in plan.blocks:
        if runs_compiled(block):
            read = block is not plan.blocks[-1] or (head is not None and head.convolves)
            blocks.append(NativeBlock(block, maps, store, Rounding(rounds, rounds and read)))
        else:
            blocks.append(ModuleBlock(block, maps, store))
        maps = blocks[-1].maps
    compiled = [block for block in blocks if isinstance(block, NativeBlock)]
    routing = Routing.of(compiled, stem, head, store) if routes(plan) else None
    return NativeNetwork(plan, blocks, stem, head, routing, store)
