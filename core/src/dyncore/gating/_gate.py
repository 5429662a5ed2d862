"""The gate's interface."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._config import PartConfig
from dyncore.gating._decision import Decision
from dyncore.gating._weights import GateWeights


class Gate(nn.Module, ABC):
    """A linear head on the router feature plus a rule that turns its scores into a decision."""

    head: nn.Linear
    channels: int = 0
    """Channels that it decides about, beside paths."""
    scales: bool = False
    """Whether weights in evaluation may be other than 0 and 1."""

    @abstractmethod
    def forward(
        self,
        feature: Float[Tensor, "batch feature"],
        noise: Float[Tensor, "batch path logit"] | None = None,
        *,
        relaxed: bool,
    ) -> Decision:
        """Decide for every image.

        ``noise`` is added to the logits; None means none. ``relaxed`` chooses the training form
        of the weights, otherwise decisions are hard.
        """

    def as_weights(self) -> GateWeights | None:
        """This gate's hard decisions as weights; None: it runs as a module.

        Who overrides ``forward`` overrides this, too: else an engine runs the module.
        """
        return None

    def anneal(self, factor: float) -> None:
        """Multiply the configured temperature by ``factor``; a gate without one ignores it."""

    def move(self, threshold: float) -> None:
        """Let be on what scores above ``threshold`` (0: as trained), from the next call on.

        A gate that has no threshold ignores it: nothing is saved by turning the dial then.
        """

    def threshold_at(self, rate: float, own: float) -> float:
        """Where its threshold stands in training for another target rate than its ``own``."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class GateConfig(PartConfig):
    """Configuration of a gate; abstract."""

    @abstractmethod
    def build(self, in_features: int, *, paths: int, channels: int, keep_one: bool) -> Gate:
        """The gate of a block with ``paths`` paths and ``channels`` gated channels (0: none).

        ``keep_one``: the block has no shortcut, so the path with the highest on-probability
        stays on when all others are off. Raises ValueError for a granularity that the gate
        cannot decide.
        """

    @abstractmethod
    def draw_noise(
        self, shape: tuple[int, int, int], generator: torch.Generator | None, device: torch.device
    ) -> Float[Tensor, "batch path logit"] | None:
        """Noise for training; None for a gate that uses none."""
