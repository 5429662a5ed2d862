"""A block that compiled code does not know, between blocks that it does."""

import torch
from torch import Tensor

from dyncore.engine._executor import BlockRunner
from dyncore.engine.native._packing import Maps, Store
from dyncore.engine.plan import BlockPlan
from dyncore.engine.torch import TorchBlock
from dyncore.gating import Decision


class ModuleBlock(BlockRunner):
    """Runs a block in torch, on copies of a :class:`NativeNetwork`'s maps without their borders."""

    def __init__(self, plan: BlockPlan, before: Maps, store: Store) -> None:
        """``before``: see :class:`NativeBlock`."""
        self.plan = plan
        self.before = before
        self.maps = Maps(plan.out_size, store)
        self._block = TorchBlock(plan)

    def run(
        self,
        x: Tensor,
        decision: Decision | None,
        *,
        scales: bool = False,
        pooled: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`BlockRunner.run`."""
        # Pixel by pixel: torch copies maps with borders as (B, C, H, W) ten times slower.
        pixels = x.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
        given = pixels.permute(0, 3, 1, 2)
        out = self._block.run(given, decision, scales=scales, pooled=pooled)
        return self.maps.put(self.maps.take(len(x)), out)
