"""A plan in torch's operators, on the caller's thread."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._backend import Backend
from dyncore.engine._executor import Part, walk
from dyncore.engine._measure import measure
from dyncore.engine.plan import Plan
from dyncore.engine.torch._network import TorchNetwork
from dyncore.gating import ExecutionPath


class TorchBackend(Backend):
    """Runs all images of a call together; each operation uses ``threads`` threads."""

    def __init__(self, plan: Plan, threads: int) -> None:
        self.plan = plan
        self.threads = threads
        self.network = TorchNetwork(plan)

    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """See :meth:`Backend.__call__`."""
        with _threads(self.threads), torch.autocast(images.device.type, enabled=False):
            return [walk(self.network, images, path)]

    def profile(self, images: Tensor) -> CostTable:
        """See :meth:`Backend.profile`."""
        with _threads(self.threads), torch.autocast(images.device.type, enabled=False):
            return measure(self.network, images)


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
