"""A planned network on one device: all blocks, one after the other, for some images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dyncore.engine._block import PlannedBlock
from dyncore.engine._plan import Plan
from dyncore.engine._rows import Chunking
from dyncore.gating import Decision, ExecutionPath, RouterState


@dataclass(frozen=True)
class Part:
    """What running some images gave: the fields of an Output, decisions per block."""

    logits: Tensor
    decisions: list[Decision]
    router_features: list[Tensor | None]
    pooled: list[Tensor | None]
    features: Tensor


class PlannedNetwork:
    """Runs images on the calling thread."""

    def __init__(self, plan: Plan, *, portable: bool) -> None:
        self.plan = plan
        weight = next(plan.head.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.blocks = [PlannedBlock(block, portable=portable) for block in plan.blocks]

    @torch.no_grad()
    def run(
        self, images: Tensor, path: ExecutionPath | None, chunkings: Sequence[Chunking]
    ) -> Part:
        """Decide, unless ``path`` does, and run. ``chunkings`` has one entry per block."""
        x = self.stem(images, chunkings[0].limit)
        state: RouterState = ()
        pooled = None
        decisions, features, pools = [], [], []
        forced_scales = path is not None and any(map(_scales, path))
        for index, (block, chunking) in enumerate(zip(self.blocks, chunkings, strict=True)):
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
            x = block.run(x, decision, chunking, scales=scales, pooled=pooled)
            decisions.append(decision or Decision.always_on(x, len(plan.paths)))
            features.append(feature)
            pools.append(seen)
        return Part(self.plan.head(x), decisions, features, pools, x)

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

    def stem(self, images: Tensor, limit: int) -> Tensor:
        """The stem's output, a channels-last tensor that is not the caller's."""
        parts = [
            self.plan.stem(part.contiguous(memory_format=torch.channels_last))
            for part in images.split(limit)
        ]
        x = torch.cat(parts) if len(parts) > 1 else parts[0]
        return x.contiguous(memory_format=torch.channels_last)


def _scales(decision: Decision) -> bool:
    return decision.channel_on is not None or not decision.weight.equal(
        decision.on.to(decision.weight.dtype)
    )
