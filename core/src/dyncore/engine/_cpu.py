"""Images dealt to threads.

A large batch is dealt to workers with one thread each, which go block by block over their images,
so that nobody waits at a convolution's end. A small one, or one of small images, stays on the
caller's thread, and each of its convolutions uses all threads: a second team of OpenMP threads
would make both sleep between any two operations.
"""

import functools
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._block import PlannedBlock, planned_network
from dyncore.engine._convolution import fastest
from dyncore.engine._network import Part, PlannedNetwork
from dyncore.engine._path import Paths
from dyncore.engine._plan import Plan
from dyncore.engine._profile import measure
from dyncore.engine._rows import Chunking
from dyncore.gating import Decision, ExecutionPath

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of channels at which picking them is compared with computing all."""
DRAWS = 6
"""Draws of channels per share; each runs twice, and the second time counts."""
SHARED = 64
"""Most images of one convolution that all threads share."""
CHUNKINGS = (
    Chunking(1, gather=False),
    Chunking(4, gather=True),
    Chunking(16, gather=True),
)
"""Where each thread has its own images: the fastest on this machine, per block."""


class CpuRunner:
    """A planned network with its threads; may be called from several threads at once."""

    def __init__(self, plan: Plan, images: Tensor, threads: int, *, portable: bool) -> None:
        single = CHUNKINGS[0]
        self._blocks = [PlannedBlock(block, single, portable=portable) for block in plan.blocks]
        self.network = planned_network(plan, self._blocks)
        self.threads = threads
        self._narrow = single_threaded(threads)
        weakref.finalize(self, self._narrow.shutdown, wait=False)
        self._narrow.submit(self._calibrate, images[:1]).result()
        own = self._narrow.submit(self._choose).result()
        self._own = self._chunked(own)
        self._shared = self._chunked([Chunking(SHARED, gather=c.gather) for c in own])
        self._deals = threads > 1 and 2 * sum(c.gather for c in own) <= len(own)
        self._warm_up(images)

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """Parts in the order of the images."""
        if not self._spread(len(images)):
            with _threads(self.threads):
                return [self._shared.run(images, path)]
        futures = []
        for rows in self._deal(len(images)):
            some = None if path is None else path.images(rows)
            futures.append(self._narrow.submit(self._own.run, images[rows], some))
        return [future.result() for future in futures]

    def profile(self, images: Tensor) -> CostTable:
        """Times per image at this batch size, in the form in which such a batch runs."""
        if self._spread(len(images)):
            share = images[: -(-len(images) // self.threads)]
            run = functools.partial(measure, workers=self.threads)
            return self._narrow.submit(run, self._own, share).result()
        with _threads(self.threads):
            return measure(self._shared, images)

    def _chunked(self, chunkings: Sequence[Chunking]) -> PlannedNetwork:
        pairs = zip(self._blocks, chunkings, strict=True)
        return planned_network(self.network.plan, [block.chunked(c) for block, c in pairs])

    def _spread(self, images: int) -> bool:
        return self._deals and images >= 2 * self.threads

    def _deal(self, images: int) -> list[slice]:
        """One portion per worker: every further one would read all weights from memory again."""
        size = -(-images // self.threads)
        return [slice(first, first + size) for first in range(0, images, size)]

    def _warm_up(self, images: Tensor) -> None:
        """Run every form once: weights are packed, and no first caller waits for that."""
        network = self.network
        for count in (1, 2, 2 * self.threads):
            some = images[:1].expand(count, -1, -1, -1).contiguous()
            self(some, None)
            for subset in range(1, 1 << min(network.most_paths, Paths.GROUP)):
                self(some, network.path(subset, count))

    @torch.no_grad()
    def _choose(self) -> list[Chunking]:
        """The fastest chunking of each block shape, with every second image of 16 on.

        A block that changes its input's shape takes that of a neighbour.
        """
        known: dict[tuple[int, int, int], Chunking] = {}
        for block in self._blocks:
            if (
                block.plan.out_size in known
                or not block.plan.keeps_input
                or block.channels is not None
            ):
                continue
            x = torch.zeros(16, *block.plan.in_size, dtype=self.network.dtype)
            x = x.contiguous(memory_format=torch.channels_last)
            on = (torch.arange(16) % 2 == 0)[:, None].expand(-1, len(block.plan.paths))
            decision = Decision.of(on, dtype=self.network.dtype)
            runs = [functools.partial(block.chunked(c).run, x, decision) for c in CHUNKINGS]
            known[block.plan.out_size] = CHUNKINGS[fastest(runs, turns=2, margin=1.15)]
        return [known.get(block.plan.out_size, CHUNKINGS[0]) for block in self._blocks]

    def _calibrate(self, image: Tensor) -> None:
        """Let blocks pick single channels up to the share at which that is faster than all of them.

        Timed on whole runs with drawn channels: between other work picking takes far longer than
        when it is repeated.
        """
        blocks = [block.channels for block in self._blocks if block.channels is not None]
        if not blocks:
            return
        worthwhile = 0.0
        for share in SHARES:
            paths = [self.network.drawn_channels(share, seed) for seed in range(DRAWS)]
            seconds = []
            for most in (1.0, 0.0):
                for block in blocks:
                    block.limit(most)
                for path in paths:
                    self.network.run(image, path)
                start = time.perf_counter()
                for path in paths:
                    self.network.run(image, path)
                seconds.append(time.perf_counter() - start)
            if seconds[0] > seconds[1]:
                break
            worthwhile = share
        for block in blocks:
            block.limit(worthwhile)


def single_threaded(workers: int) -> ThreadPoolExecutor:
    """So many threads whose operations use one thread each.

    torch takes what a thread sets for itself as the default of threads that start later, too. So
    all workers start here, and then the caller's number is set again.
    """
    before = torch.get_num_threads()
    started = threading.Barrier(workers + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(workers, "dyncore", begin)
    for _ in range(workers):
        pool.submit(int)
    started.wait()
    torch.set_num_threads(before)
    return pool


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let this thread's operations use ``count`` threads."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
