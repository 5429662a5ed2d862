"""What an engine runs on: one backend per device and per way to run there."""

from abc import ABC, abstractmethod

from torch import Tensor

from dyncore.cost import CostTable
from dyncore.engine._executor import Part
from dyncore.engine.plan import Plan
from dyncore.gating import ExecutionPath


class Backend(ABC):
    """A plan that is ready to run; several threads may call it at once."""

    plan: Plan

    @property
    def modules(self) -> tuple[str, ...]:
        """What runs as a module: see :attr:`Plan.modules`."""
        return self.plan.modules

    @abstractmethod
    def __call__(self, images: Tensor, path: ExecutionPath | None) -> list[Part]:
        """Parts in the order of the images."""

    @abstractmethod
    def profile(self, images: Tensor) -> CostTable:
        """Times per image at this batch size."""
