"""The router's interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._config import PartConfig

RouterState: TypeAlias = tuple[Tensor, ...]
"""What routers hand on: any tensors whose first dimension is the image. First router: ``()``."""
Evaluation: TypeAlias = Callable[[Tensor, RouterState], tuple[Tensor, RouterState]]
"""A router as a function: pooled block input and state → feature and new state."""


class Router(nn.Module, ABC):
    """Pooled block input and router state → feature and new state.

    The network pools once per block; a router sees ``(batch, channel)`` only.
    """

    out_features: int
    """Width d of the feature, which the gate's head and category heads read."""

    @abstractmethod
    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch feature"], RouterState]:
        """Feature (B, d) and the state for the next router."""

    def lean(self) -> "Evaluation":
        """The same for weights that stay as they are, in fewer operations where there is a way.

        Inference calls it after norms were folded; what is not overridden runs as it is.
        """
        return self


@dataclass(frozen=True, kw_only=True)
class RouterConfig(PartConfig):
    """Configuration of a router; abstract."""

    @abstractmethod
    def build(self, in_channels: int, index: int) -> Router:
        """The router before the ``index``-th gated block (0 has no predecessor)."""
