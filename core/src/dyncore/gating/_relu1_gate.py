"""LC-Net's gate: scores that decide about paths and channels, and scale what they keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._decision import Choice, Decision, Relaxation, straight_through
from dyncore.gating._gate import Gate, GateConfig
from dyncore.gating._weights import (
    Affine,
    GateWeights,
    at_least_float32,
    keep_one,
    of_each_channel,
)


class ReLU1Gate(Gate):
    """Scores clamped to [0, 1] that decide and scale: ``S = ReLU1(FC(pooled))`` (LC-Net Eq. 2–5).

    One score per path, then one per channel of the block's first convolution, or per group of
    ``channel_group`` neighbours. Without ``blocks`` there are scores for channels only, and every
    path is on with weight 1. The relaxed form leaks on both sides. With biases that start at 1
    nothing is dead at the start.

    Scores at a threshold above 0, or below it, are off, and what stays on keeps its weight. A
    threshold below 0 raises all scores by as much: what it turns on would weigh nothing otherwise.
    """

    scales = True
    threshold: Tensor

    def __init__(
        self,
        in_features: int,
        paths: int,
        channels: int,
        *,
        leak: float,
        blocks: bool,
        channel_group: int,
        keep_one: bool,
        initial_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.channel_group = min(channel_group, max(1, channels))
        groups = -(-channels // self.channel_group)
        self.head = nn.Linear(in_features, groups + (paths if blocks else 0))
        if initial_bias is not None:
            nn.init.constant_(self.head.bias, initial_bias)
        self.paths = paths
        self.channels = channels
        self.leak = leak
        self.blocks = blocks
        self.keep_one = keep_one
        self.register_buffer("threshold", torch.zeros(()), persistent=False)

    def forward(
        self,
        feature: Float[Tensor, "batch feature"],
        noise: Float[Tensor, "batch path logit"] | None = None,
        *,
        relaxed: bool,
    ) -> Decision:
        score = at_least_float32(self.head(feature)) - self.threshold.clamp(max=0)
        if not self.blocks:
            score = F.pad(score, (self.paths, 0), value=1.0)
        if self.channel_group > 1:
            score = of_each_channel(score, self.paths, self.channels, self.channel_group)
        clamped = score.clamp(0, 1)
        weight = clamped + self.leak * (score - clamped) if relaxed else clamped
        on = score > self.threshold.clamp(min=0)
        path_on, channel_on = on[:, : self.paths], on[:, self.paths :]
        if not self.blocks:
            path_on = torch.ones_like(path_on)
        elif self.keep_one:
            path_on = keep_one(path_on, score[:, : self.paths])
        # What a threshold above 0 turns off weighs nothing, and learns as if it did.
        weight = weight - (clamped * ~torch.cat([path_on, channel_on], 1)).detach()
        paths = Choice(path_on, weight[:, : self.paths])
        channels = Choice(channel_on, weight[:, self.paths :]) if self.channels else None
        if not relaxed:
            return Decision(paths, channels)
        # A salience scales what it keeps: all of them at 0.7 look cheap, and everything runs.
        hard = straight_through(paths.on, paths.weight)
        if channels is None:
            return Decision(paths, training=Relaxation(hard))
        hard_channels = straight_through(channels.on, channels.weight)
        return Decision(paths, channels, Relaxation(hard, hard_channels))

    def as_weights(self) -> GateWeights | None:
        """See :meth:`Gate.as_weights`."""
        head = Affine.of(self.head)
        if head is None:
            return None
        return GateWeights(
            head,
            self.paths,
            channels=self.channels,
            channel_group=self.channel_group,
            clamps=True,
            decides_paths=self.blocks,
            keep_one=self.keep_one,
            threshold=self.threshold,
        )

    def move(self, threshold: float) -> None:
        """See :meth:`Gate.move`."""
        self.threshold.fill_(threshold)

    def threshold_at(self, rate: float, own: float) -> float:
        """A part of the range of scores, 1, as large as the difference of rates."""
        return own - rate


@dataclass(frozen=True, kw_only=True)
class ReLU1GateConfig(GateConfig):
    """LC-Net's L-Net and C-Net: (leaky) ReLU-1 scores."""

    name: ClassVar[str] = "relu1"
    when_absent: ClassVar[Mapping[str, Any]] = {"initial_bias": 1.0}
    leak: float = 0.01
    """Slope outside [0, 1] in training."""
    blocks: bool = True
    """Decide paths (L-Net); off: channels only (C-Net), every path is on with weight 1."""
    channel_group: int = 1
    """Neighbouring channels that share a score; 1, as in the paper: each has its own."""
    initial_bias: float | None = None
    """Where all biases start; None: as torch makes them. At 1 nothing is dead at the start."""

    def __post_init__(self) -> None:
        if not 0 <= self.leak < 1:
            raise ValueError(f"leak must be in [0, 1), not {self.leak}")
        if self.channel_group < 1:
            raise ValueError(f"channel_group must be at least 1, not {self.channel_group}")
        if self.initial_bias is not None and not isfinite(self.initial_bias):
            raise ValueError(f"initial_bias must be a number, not {self.initial_bias}")

    def build(self, in_features: int, *, paths: int, channels: int, keep_one: bool) -> Gate:
        if not self.blocks and not channels:
            raise ValueError(
                "gate 'relu1' with blocks off decides channels only, but granularity.channels is "
                "off: turn one of them on"
            )
        return ReLU1Gate(
            in_features,
            paths,
            channels,
            leak=self.leak,
            blocks=self.blocks,
            channel_group=self.channel_group,
            keep_one=keep_one,
            initial_bias=self.initial_bias,
        )

    def draw_noise(
        self, shape: tuple[int, int, int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor | None:
        return None
