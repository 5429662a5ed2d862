"""The runner of compiled networks: threads, portions of images, the stem."""

import threading
import weakref

import torch
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._compiled import library
from dyncore.engine._cpu import single_threaded
from dyncore.engine._head import native_head
from dyncore.engine._native import NativeBlock, supported
from dyncore.engine._native_network import NativeNetwork, routes_natively
from dyncore.engine._network import Part
from dyncore.engine._packing import Maps, Store
from dyncore.engine._picking import measure_picking
from dyncore.engine._plan import Plan
from dyncore.engine._profile import measure
from dyncore.engine._stem import native_stem
from dyncore.gating import ExecutionPath

LARGEST_MAP = 2**25
"""Bytes that the largest map of a portion of images may take: caches do not hold more."""


class NativeRunner:
    """A planned network with a team of threads; one call runs at a time.

    A call that needs operations of torch goes to a thread that uses no others: torch's would go on
    spinning where the team wants to work, and to change the caller's setting costs a millisecond.
    Others stay on the caller's, as the way there and back takes some 0.1 ms.
    """

    def __init__(self, plan: Plan, images: Tensor, threads: int) -> None:
        """Raises ValueError where no compiled code can be had for this plan on this machine."""
        code = library(images.dtype)
        if code is None or not supported(plan):
            raise ValueError("this plan does not run in compiled code here")
        store = Store(code, images.dtype, threads)
        self._first = maps = Maps(plan.blocks[0].in_size, store)
        blocks = []
        for block in plan.blocks:
            blocks.append(NativeBlock(block, maps, store))
            maps = blocks[-1].maps
        for native in blocks:
            if native.plan.channels:
                measure_picking(native, threads)
        self.network = NativeNetwork(plan, blocks, self._stem, self._copy, _copied)
        self.network.compiled_stem = native_stem(plan.stem, images[:1], self._first, store)
        self.network.compiled_head = native_head(plan.head, plan.blocks[-1].out_size, store)
        if routes_natively(plan):
            self.network.route_natively(store)
        self._maps = {m.size: m for m in (self._first, *(block.maps for block in blocks))}
        largest = max(m.map.numbers for m in self._maps.values()) * images.element_size()
        self._portion = max(LARGEST_MAP // largest, 2 * threads)
        self._lock = threading.Lock()
        self._thread = single_threaded(1)
        weakref.finalize(self, self._thread.shutdown, wait=False)

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """Parts in the order of the images."""
        with self._lock:
            if self.network.is_one_call(path):
                return self._run(images, path)
            return self._thread.submit(self._run_with_torch, images, path).result()

    def profile(self, images: Tensor) -> CostTable:
        """Times per image at this batch size."""
        with self._lock:
            return self._thread.submit(measure, self.network, images).result()

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

    def _stem(self, images: Tensor) -> Tensor:
        x = self._first.take(len(images))
        if self.network.compiled_stem is not None:
            self.network.compiled_stem.run(images, self._first.start(x))
            return x
        last = images.contiguous(memory_format=torch.channels_last)
        return x.copy_(self.network.plan.stem(last))

    def _copy(self, x: Tensor) -> Tensor:
        if x.shape[1:] not in self._maps:
            return x.clone()
        return self._maps[x.shape[1:]].take(len(x), own=True).copy_(x)


def _copied(x: Tensor) -> Tensor:
    """The same maps without borders, pixel by pixel: torch copies (B, C, H, W) ten times slower."""
    return x.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
