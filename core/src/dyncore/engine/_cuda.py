"""A planned network on a GPU: the plain form.

Each block's images are gathered, run as one batch and put back. The host reads every block's
decisions, so it waits for the device once per block; nothing is captured in a CUDA graph. It was
never run: no GPU was at hand.
"""

import torch
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._block import PlannedBlock, planned_network
from dyncore.engine._network import Part
from dyncore.engine._plan import Plan
from dyncore.engine._profile import measure
from dyncore.engine._rows import Chunking
from dyncore.gating import ExecutionPath

MOST = 1024
"""Most images of one convolution."""


class CudaRunner:
    """A planned network on the current stream of its device."""

    def __init__(self, plan: Plan) -> None:
        gathering = Chunking(MOST, gather=True)
        blocks = [PlannedBlock(block, gathering, portable=True) for block in plan.blocks]
        self.network = planned_network(plan, blocks)

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """All images as one part."""
        with torch.cuda.device(images.device):
            return [self.network.run(images, path)]

    def profile(self, images: Tensor) -> CostTable:
        """Times per image at this batch size."""
        return measure(self.network, images)
