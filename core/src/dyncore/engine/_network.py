"""A planned network on one device: all blocks, one after the other, for some images."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dyncore.engine._plan import BlockPlan, Plan
from dyncore.gating import Decision, ExecutionPath, RouterState


@dataclass(frozen=True)
class Part:
    """What running some images gave: the fields of an Output, decisions per block."""

    logits: Tensor
    decisions: Sequence[Decision]
    router_features: Sequence[Tensor | None]
    pooled: Sequence[Tensor | None]
    features: Tensor


class Runnable(ABC):
    """A block in the form in which it runs."""

    plan: BlockPlan

    @abstractmethod
    def run(
        self,
        x: Tensor,
        decision: Decision | None,
        *,
        scales: bool = False,
        pooled: Tensor | None = None,
    ) -> Tensor:
        """The block's output. ``x`` may be overwritten; without ``decision`` everything runs.

        ``scales``: weights may be other than 0 and 1. ``pooled`` (B, C') gets the output's average
        for every image that the block changes: right after it is computed it is still in a cache.
        """


class PlannedNetwork:
    """Runs images on the calling thread."""

    def __init__(
        self,
        plan: Plan,
        blocks: Sequence[Runnable],
        stem: Callable[[Tensor], Tensor],
        copy: Callable[[Tensor], Tensor],
        finish: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        """``stem`` gives, and ``copy`` copies, maps in the memory layout that ``blocks`` take.

        ``finish`` makes what the last block gives the caller's own.
        """
        self.plan = plan
        self.blocks = blocks
        self.stem = stem
        self.copy = copy
        self.finish = finish
        weight = next(plan.head.parameters())
        self.device, self.dtype = weight.device, weight.dtype

    @torch.no_grad()
    def run(self, images: Tensor, path: ExecutionPath | None) -> Part:
        """Decide, unless ``path`` does, and run."""
        x = self.stem(images)
        state: RouterState = ()
        pooled = None
        decisions, features, pools = [], [], []
        forced_scales = path is not None and any(map(_scales, path))
        for index, block in enumerate(self.blocks):
            plan = block.plan
            decision = feature = seen = None
            scales = forced_scales
            if plan.router is not None and plan.gate is not None:
                if path is None:
                    seen = x.mean((2, 3)) if pooled is None else pooled
                    feature, state = plan.router(seen, state)
                    decision = plan.gate(feature)
                    scales = plan.scales
                else:
                    decision = path[index]
            pooled = self._next_pool(index, x, seen) if path is None else None
            x = block.run(x, decision, scales=scales, pooled=pooled)
            decisions.append(decision or Decision.always_on(x, len(plan.paths)))
            features.append(feature)
            pools.append(seen)
        logits, x = self.answer(x)
        return Part(logits, decisions, features, pools, x)

    @torch.no_grad()
    def repeat_router(self, index: int, x: Tensor, state: RouterState, times: int) -> RouterState:
        """Decide about a block of input ``x`` so many times over; the state after it."""
        plan, after = self.plan.blocks[index], state
        assert plan.router is not None
        assert plan.gate is not None
        for _ in range(times):
            feature, after = plan.router(x.mean((2, 3)), state)
            plan.gate(feature)
        return after

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and what the last block gave as the caller's own."""
        x = self.finish(x)
        return self.plan.head(x), x

    def _next_pool(self, index: int, x: Tensor, seen: Tensor | None) -> Tensor | None:
        """Where a block leaves what the next router reads; images it skips keep what was seen."""
        plans = self.plan.blocks
        if index + 1 == len(plans) or plans[index + 1].router is None:
            return None
        if seen is not None and plans[index].keeps_input:
            return seen.clone()
        return x.new_empty(len(x), plans[index].out_size[0])

    @property
    def most_paths(self) -> int:
        """Paths of the block that has most."""
        return max(len(block.plan.paths) for block in self.blocks)

    def path(self, subset: int, images: int) -> ExecutionPath:
        """Every block with the paths in the bits of ``subset``."""
        counts = [len(block.plan.paths) for block in self.blocks]
        on = torch.tensor([subset >> n & 1 == 1 for count in counts for n in range(count)])
        return ExecutionPath.of(on.expand(images, -1).to(self.device), counts, dtype=self.dtype)

    def drawn_channels(self, share: float, seed: int) -> ExecutionPath:
        """A path of one image with every block on and a drawn ``share`` of gated channels."""
        generator = torch.Generator().manual_seed(seed)
        decisions = []
        for block in self.blocks:
            drawn = torch.rand(1, block.plan.channels, generator=generator) < share
            on = torch.ones(1, len(block.plan.paths), dtype=torch.bool)
            chosen = drawn if block.plan.channels else None
            decisions.append(Decision.of(on, chosen, dtype=self.dtype))
        return ExecutionPath(tuple(decisions))


def _scales(decision: Decision) -> bool:
    return decision.channels is not None or not decision.weight.equal(
        decision.on.to(decision.weight.dtype)
    )
