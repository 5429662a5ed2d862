"""A planned network on a GPU: the images of a path are gathered and run as one CUDA graph.

The host reads every block's decisions, so it waits for the device once per block, and what it then
launches must be short: a graph per path and number of images. It was never run on a GPU: none was
at hand.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._backend import Backend
from dyncore.engine._executor import Part, walk
from dyncore.engine._measure import measure
from dyncore.engine.cuda._buckets import Buckets, Run
from dyncore.engine.plan import Plan
from dyncore.engine.torch import TorchBlock, TorchNetwork
from dyncore.gating import ExecutionPath

WARM_UPS = 2
"""Runs before a capture, in which libraries choose their algorithms and allocate."""


class CudaBackend(Backend):
    """A planned network on the current stream of its device; one call at a time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._pool = torch.cuda.graph_pool_handle()
        captured = Buckets(self._captured).captured
        self.network = TorchNetwork(
            plan, [TorchBlock(block, [captured(p) for p in block.paths]) for block in plan.blocks]
        )
        self._lock = threading.Lock()
        self._last = torch.cuda.Event()

    @torch.inference_mode(False)
    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """All images as one part."""
        with self._alone(images.device):
            # The caller before may have used another stream, and buffers are shared.
            torch.cuda.current_stream().wait_event(self._last)
            part = walk(self.network, images, path)
            self._last.record()
            return [part]

    @torch.inference_mode(False)
    def profile(self, images: Tensor) -> CostTable:
        """Times per image at this batch size."""
        with self._alone(images.device):
            return measure(self.network, images)

    @contextmanager
    def _alone(self, device: torch.device) -> Iterator[None]:
        """One call at a time, in the plan's own types: a graph keeps those of its capture."""
        with torch.cuda.device(device), torch.autocast("cuda", enabled=False), self._lock:
            yield

    def _captured(self, run: Run) -> Run:
        """``run`` as a graph; all graphs share memory, as they run one after the other."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                run()
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            run()
        return graph.replay
