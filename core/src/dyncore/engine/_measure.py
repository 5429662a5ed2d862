"""Times of a network's parts on this machine."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from dyncore.cost import BlockCost, CostTable, PathCost
from dyncore.engine._executor import BlockRunner, Executor
from dyncore.gating import Decision, RouterState

TURNS = 7
"""Runs of each part, of which the median counts, after one that does not."""
DECISIONS = 20
"""Runs of a router in a turn: compiled ones take less than a call of them from Python."""


@torch.no_grad()
def measure(network: Executor, images: Tensor) -> CostTable:
    """Times per image of ``images``, in ns. Decisions are forced, routers are timed apart."""
    count = len(images)
    stem = _median(network.stem, images, torch.clone)
    x = network.stem(images)
    state: RouterState = ()
    blocks = []
    for index, block in enumerate(network.blocks):
        plan = block.plan
        router = 0.0
        if plan.router is not None:
            decide = partial(network.repeat_router, index, state=state, times=DECISIONS)
            router = _median(decide, x, network.copy) / DECISIONS
            state = network.repeat_router(index, x, state, 1)
        off = _forced(network, block, x, 0)
        alone = [_forced(network, block, x, 1 << n) - off for n in range(len(plan.paths))]
        paths = tuple(_path(max(0.0, seconds), count) for seconds in alone)
        if plan.channels:
            none = _forced(network, block, x, 1, channels=False) - off
            paths = (_gated_path(none, alone[0], plan.channels, count),)
        blocks.append(
            BlockCost(
                gated=plan.router is not None,
                router=_per_image(router, count),
                shortcut=_per_image(off, count),
                paths=paths,
            )
        )
        x = block.run(x, None)
    head = _median(network.head, x, network.copy)
    fixed = _per_image(stem, count) + _per_image(head, count)
    bodies = sum(b.shortcut + sum(path.total for path in b.paths) for b in blocks)
    return CostTable(
        input_size=(images.shape[1], images.shape[2], images.shape[3]),
        static=fixed + bodies,
        stem=_per_image(stem, count),
        head=_per_image(head, count),
        blocks=tuple(blocks),
        unit="ns",
    )


def _forced(
    network: Executor, block: BlockRunner, x: Tensor, subset: int, *, channels: bool = True
) -> float:
    """Seconds of a block whose images all take the paths in the bits of ``subset``."""
    plan = block.plan
    bits = torch.tensor([subset >> n & 1 == 1 for n in range(len(plan.paths))], device=x.device)
    chosen = None
    if plan.channels:
        chosen = torch.full((len(x), plan.channels), channels, device=x.device)
    decision = Decision.of(bits.expand(len(x), -1), chosen, dtype=x.dtype)
    scales = chosen is not None
    return _median(lambda x: block.run(x, decision, scales=scales), x, network.copy)


def _path(seconds: float, images: int) -> PathCost:
    return PathCost((_per_image(seconds, images),))


def _gated_path(none: float, every: float, channels: int, images: int) -> PathCost:
    """A line between no channel on and every channel on, in whole ns per channel."""
    each = max(0.0, every - none)
    share = channels * _per_image(each / 2 / channels, images)
    return PathCost((share, share, _per_image(max(0.0, none), images)), channels)


def _per_image(seconds: float, images: int) -> int:
    return round(1e9 * seconds / images)


def _median(run: Callable[[Tensor], object], x: Tensor, copy: Callable[[Tensor], Tensor]) -> float:
    taken = []
    for _ in range(TURNS + 1):
        own = copy(x)
        _wait(x)
        start = time.perf_counter()
        run(own)
        _wait(x)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def _wait(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
