"""The router's interface."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._config import PartConfig
from dyncore.gating._weights import RouterState, RouterWeights


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

    def as_weights(self) -> RouterWeights | None:
        """This router in evaluation as weights, norms folded in; None: it runs as a module.

        Who overrides ``forward`` overrides this, too: else an engine runs the module.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class RouterConfig(PartConfig):
    """Configuration of a router; abstract."""

    @abstractmethod
    def build(self, in_channels: int, index: int) -> Router:
        """The router before the ``index``-th gated block (0 has no predecessor)."""
