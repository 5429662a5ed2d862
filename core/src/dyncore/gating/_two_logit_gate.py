"""Gates with two logits per path, off and on: all papers' but LC-Net's."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, log
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dyncore.gating._decision import Choice, Decision, Relaxation, straight_through
from dyncore.gating._gate import Gate, GateConfig
from dyncore.gating._linear import InitialWeights, linear_layer
from dyncore.gating._weights import (
    Affine,
    GateWeights,
    at_least_float32,
    keep_one,
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
        weight = straight_through(on, probability) if self.straight_through else probability
        # The on-probability under Gumbel noise: its gradient does not vanish with the temperature.
        noise_free = straight_through(self._on(margin), torch.sigmoid(margin))
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
