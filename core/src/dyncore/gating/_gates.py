"""The gates of the five papers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, log
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dyncore.gating._decision import Choice, Decision, Relaxation
from dyncore.gating._gate import Gate, GateConfig
from dyncore.gating._linear import InitialWeights, linear_layer
from dyncore.gating._weights import (
    Affine,
    GateWeights,
    at_least_float32,
    keep_one,
    of_each_channel,
)

Noise = Literal["gumbel", "gaussian", "none"]


def _draw(
    noise: Noise,
    shape: tuple[int, int, int],
    generator: torch.Generator | None,
    device: torch.device,
) -> Tensor | None:
    if noise == "none":
        return None
    if noise == "gaussian":
        return torch.randn(shape, generator=generator, device=device)
    exponential = torch.empty(shape, device=device).exponential_(generator=generator)
    return -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()


class TwoLogitGate(Gate):
    """Two logits per path, (off, on); on where the on-logit is the larger one.

    With ``straight_through`` the relaxed weight is the hard 0 or 1 with the softmax's gradient
    (CDB Eq. 9, DMNN Eq. 8); without it, the softmax itself: v in (0, 1) (RDI-Net Eq. 8).
    """

    temperature: Tensor
    threshold: Tensor
    own_thresholds: Tensor

    def __init__(
        self,
        in_features: int,
        paths: int,
        *,
        temperature: float,
        straight_through: bool,
        keep_one: bool,
        told: bool = False,
        initial_weights: InitialWeights = "torch",
        initial_biases: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.head = linear_layer(in_features, 2 * paths, initial_weights=initial_weights)
        if initial_biases is not None:
            with torch.no_grad():
                self.head.bias.copy_(torch.tensor(initial_biases).repeat(paths))
        self.base_temperature = temperature
        self.register_buffer("temperature", torch.tensor(float(temperature)), persistent=False)
        self.register_buffer("threshold", torch.zeros(()), persistent=False)
        self.sensitivity = nn.Parameter(torch.zeros(paths)) if told else None
        """By how much more than the others each path gives way; None: all alike."""
        self.register_buffer("own_thresholds", torch.zeros(paths), persistent=False)
        self.straight_through = straight_through
        self.keep_one = keep_one

    def forward(
        self,
        feature: Float[Tensor, "batch feature"],
        noise: Float[Tensor, "batch path logit"] | None = None,
        *,
        relaxed: bool,
    ) -> Decision:
        logits = at_least_float32(self.head(feature)).unflatten(1, (-1, 2))
        margin = logits[..., 1] - logits[..., 0] - self._thresholds()
        noisy = margin
        if noise is not None:
            noise = noise.to(margin.dtype)
            noisy = margin + noise[..., 1] - noise[..., 0]
        on = self._on(noisy)
        if not relaxed:
            return Decision.of(on, dtype=margin.dtype)
        probability = torch.sigmoid(noisy / self.temperature.to(noisy.dtype))
        weight = _straight_through(on, probability) if self.straight_through else probability
        # The on-probability under Gumbel noise: its gradient does not vanish with the temperature.
        noise_free = _straight_through(self._on(margin), torch.sigmoid(margin))
        return Decision(Choice(on, weight), training=Relaxation(noise_free, margin=margin))

    def as_weights(self) -> GateWeights | None:
        """See :meth:`Gate.as_weights`: one logit per path, on minus off."""
        head = Affine.of(self.head)
        if head is None or head.bias is None:
            return None
        margin = Affine(head.weight[1::2] - head.weight[::2], head.bias[1::2] - head.bias[::2])
        self._follow()
        threshold = self.threshold if self.sensitivity is None else self.own_thresholds
        paths = len(margin.weight)
        return GateWeights(margin, paths, keep_one=self.keep_one, threshold=threshold)

    def anneal(self, factor: float) -> None:
        """See :meth:`Gate.anneal`."""
        self.temperature.fill_(factor * self.base_temperature)

    def move(self, threshold: float) -> None:
        """See :meth:`Gate.move`."""
        self.threshold.fill_(threshold)
        self._follow()

    def threshold_at(self, rate: float, own: float) -> float:
        """Where noise turns a gate on with probability ``rate`` that has ``own`` at 0."""
        return logit(own) - logit(rate)

    def _thresholds(self) -> Tensor:
        if self.sensitivity is None:
            return self.threshold
        return self.threshold * (1 + at_least_float32(self.sensitivity))

    @torch.no_grad()
    def _follow(self) -> None:
        """Keep what an engine reads up to date."""
        self.own_thresholds.copy_(self._thresholds())

    def _on(self, margin: Float[Tensor, "batch path"]) -> Bool[Tensor, "batch path"]:
        on = margin > 0
        return keep_one(on, margin) if self.keep_one else on


def logit(rate: float) -> float:
    """Log odds of a rate, which stays away from 0 and 1 by a hundredth."""
    kept = min(max(rate, 0.01), 0.99)
    return log(kept / (1 - kept))


def _straight_through(
    on: Bool[Tensor, "batch path"], probability: Float[Tensor, "batch path"]
) -> Float[Tensor, "batch path"]:
    return on.to(probability.dtype) + (probability - probability.detach())


@dataclass(frozen=True, kw_only=True)
class _TwoLogitGateConfig(GateConfig):
    when_absent: ClassVar[Mapping[str, Any]] = {
        "initial_weights": "he",
        "initial_biases": (0.0, 0.0),
    }
    temperature: float = 1.0
    """Temperature τ of the softmax."""
    initial_weights: InitialWeights = "torch"
    """How its weights start: as torch makes them, or He-normal."""
    initial_biases: tuple[float, float] | None = None
    """Where the biases of the off-logit and of the on-logit start; None: as torch makes them."""
    told: bool = False
    """Gates know where the dial stands, and learn which paths give way first (ours); off: the
    thresholds of all paths move alike."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, not {self.temperature}")
        if self.initial_biases is not None and not all(map(isfinite, self.initial_biases)):
            raise ValueError(f"initial_biases must be two numbers, not {self.initial_biases}")

    def _build(
        self, in_features: int, paths: int, channels: int, keep_one: bool, straight_through: bool
    ) -> TwoLogitGate:
        if channels:
            raise ValueError(
                f"gate {self.name!r} decides paths only, but granularity.channels is on: "
                "use the 'relu1' gate to gate channels"
            )
        return TwoLogitGate(
            in_features,
            paths,
            temperature=self.temperature,
            straight_through=straight_through,
            keep_one=keep_one,
            told=self.told,
            initial_weights=self.initial_weights,
            initial_biases=self.initial_biases,
        )


@dataclass(frozen=True, kw_only=True)
class GumbelSoftmaxGateConfig(_TwoLogitGateConfig):
    """Gumbel-Softmax; training mixes with the relaxed v (RDI-Net Eq. 8, SP-Net)."""

    name: ClassVar[str] = "gumbel-softmax"

    def build(self, in_features: int, *, paths: int, channels: int, keep_one: bool) -> Gate:
        return self._build(in_features, paths, channels, keep_one, straight_through=False)

    def draw_noise(
        self, shape: tuple[int, int, int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor | None:
        return _draw("gumbel", shape, generator, device)


@dataclass(frozen=True, kw_only=True)
class StraightThroughGateConfig(_TwoLogitGateConfig):
    """Noisy argmax with the softmax's gradient (CDB Eq. 9: Gaussian; DMNN Eq. 8: Gumbel)."""

    name: ClassVar[str] = "straight-through"
    noise: Noise = "gumbel"
    """Noise added to the logits in training: Gumbel(0, 1), N(0, 1) or none."""

    def build(self, in_features: int, *, paths: int, channels: int, keep_one: bool) -> Gate:
        return self._build(in_features, paths, channels, keep_one, straight_through=True)

    def draw_noise(
        self, shape: tuple[int, int, int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor | None:
        return _draw(self.noise, shape, generator, device)


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
        hard = _straight_through(paths.on, paths.weight)
        if channels is None:
            return Decision(paths, training=Relaxation(hard))
        hard_channels = _straight_through(channels.on, channels.weight)
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
