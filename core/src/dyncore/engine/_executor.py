"""A planned network, part by part, and the walk through it that calls torch between the parts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dyncore.blocks import mean_over_places
from dyncore.engine.plan import BlockPlan, Plan
from dyncore.gating import Decision, ExecutionPath, RouterState


@dataclass(frozen=True)
class Part:
    """What running some images gave: the fields of an Output, decisions per block."""

    logits: Tensor
    decisions: Sequence[Decision]
    router_features: Sequence[Tensor | None]
    pooled: Sequence[Tensor | None]
    features: Tensor


class BlockRunner(ABC):
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


class Executor(ABC):
    """A planned network in the form in which it runs, on the calling thread."""

    plan: Plan
    blocks: Sequence[BlockRunner]

    @abstractmethod
    def stem(self, images: Tensor) -> Tensor:
        """Maps in the memory layout that the blocks take, none of them the caller's."""

    @abstractmethod
    def copy(self, x: Tensor) -> Tensor:
        """A copy of such maps in the same layout."""

    @abstractmethod
    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the last block's maps as the caller's own."""

    @abstractmethod
    def repeat_router(self, index: int, x: Tensor, state: RouterState, times: int) -> RouterState:
        """Decide about a block of input ``x`` so many times over; the state after it."""


@torch.no_grad()
def walk(network: Executor, images: Tensor, path: ExecutionPath | None) -> Part:
    """Run ``images``, block by block: decide, unless ``path`` does, and run."""
    x = network.stem(images)
    state: RouterState = ()
    pooled = None
    decisions, features, pools = [], [], []
    forced_scales = path is not None and any(map(_scales, path))
    for index, block in enumerate(network.blocks):
        plan = block.plan
        decision = feature = seen = None
        scales = forced_scales
        if plan.router is not None:
            if path is None:
                seen = mean_over_places(x, plan.channel_axis) if pooled is None else pooled
                feature, state = plan.router(seen, state)
                decision = plan.decide(feature)
                scales = plan.scales
            else:
                decision = path[index]
        pooled = _next_pool(network.plan, index, x, seen) if path is None else None
        x = block.run(x, decision, scales=scales, pooled=pooled)
        decisions.append(decision or Decision.always_on(x, len(plan.paths)))
        features.append(feature)
        pools.append(seen)
    logits, x = network.head(x)
    return Part(logits, decisions, features, pools, x)


@torch.no_grad()
def repeat_torch_router(plan: BlockPlan, x: Tensor, state: RouterState, times: int) -> RouterState:
    """See :meth:`Executor.repeat_router`, for routers and gates that run in torch."""
    after = state
    assert plan.router is not None
    for _ in range(times):
        feature, after = plan.router(mean_over_places(x, plan.channel_axis), state)
        plan.decide(feature)
    return after


def _next_pool(plan: Plan, index: int, x: Tensor, seen: Tensor | None) -> Tensor | None:
    """Where a block leaves what the next router reads; images it skips keep what was seen."""
    following = plan.blocks[index + 1 : index + 2]
    if not following or following[0].router is None or following[0].channel_axis != 1:
        return None
    if seen is not None and plan.blocks[index].keeps_input:
        return seen.clone()
    return x.new_empty(len(x), plan.blocks[index].out_size[0])


def _scales(decision: Decision) -> bool:
    return decision.channels is not None or not decision.weight.equal(
        decision.on.to(decision.weight.dtype)
    )
