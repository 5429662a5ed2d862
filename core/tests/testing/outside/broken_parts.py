"""A router, a gate and objective parts that are sound but for one fault each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.gating import (
    Affine,
    Choice,
    Decision,
    Gate,
    GateConfig,
    GateWeights,
    Router,
    RouterConfig,
    RouterState,
)
from dyncore.objectives import ObjectiveConfig, ObjectivePart

DIM = 6


class UnusedParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(DIM))

    def forward(self, x: Tensor) -> Tensor:
        return x


class ZeroGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dead = nn.Parameter(torch.ones(DIM))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * self.dead


class ZeroStart(nn.Module):
    """No fault: ``inner`` learns as soon as ``outer`` has left zero."""

    def __init__(self) -> None:
        super().__init__()
        self.outer = nn.Parameter(torch.zeros(DIM))
        self.inner = nn.Parameter(torch.ones(DIM))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer * self.inner


class InfiniteGradient(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + (0 * x).sqrt()


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Memory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sign = 1

    def forward(self, x: Tensor) -> Tensor:
        self.sign = -self.sign
        return self.sign * x


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return x


class BatchMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class HiddenLayer(nn.Module):
    """Does work that a cost table, made on the meta device, does not see."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "meta":
            F.linear(x, x.new_ones(5, DIM))
        return x


class UnsavedBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", 10 * torch.randn(DIM), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


class NeedsPrecision(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        one = torch.ones_like(x)
        return x * 1e-3 / ((one + 1e-3) - one)


FAULTS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "unused parameter": UnusedParameter,
    "zero gradient": ZeroGradient,
    "zero start": ZeroStart,
    "infinite gradient": InfiniteGradient,
    "noise": Noise,
    "memory": Memory,
    "counter": Counter,
    "batch mean": BatchMean,
    "hidden layer": HiddenLayer,
    "unsaved buffer": UnsavedBuffer,
    "needs precision": NeedsPrecision,
}


class BrokenRouter(Router):
    def __init__(self, in_channels: int, fault: nn.Module) -> None:
        super().__init__()
        self.align = nn.Linear(in_channels, DIM)
        self.fault = fault
        self.out_features = DIM

    def forward(self, pooled: Tensor, state: RouterState) -> tuple[Tensor, RouterState]:
        return self.fault(self.align(pooled)), state


@dataclass(frozen=True, kw_only=True)
class BrokenRouterConfig(RouterConfig):
    name: ClassVar[str] = "broken"
    fault: str

    def build(self, in_channels: int, index: int) -> BrokenRouter:
        return BrokenRouter(in_channels, FAULTS[self.fault]())


class BrokenGate(Gate):
    """One score per path, decided by its sign."""

    def __init__(self, in_features: int, paths: int, off: float, sign: int, *, cast: bool) -> None:
        super().__init__()
        self.head = nn.Linear(in_features, paths)
        self.off = off
        self.sign = sign
        self.cast = cast

    def forward(self, feature: Tensor, noise: Tensor | None = None, *, relaxed: bool) -> Decision:
        score = self.head(feature)
        if self.cast:
            score = score.to(torch.promote_types(score.dtype, torch.float32))
        on = score > 0
        hard = torch.where(on, torch.ones_like(score), self.off)
        return Decision(Choice(on, score.sigmoid() if relaxed else hard))

    def as_weights(self) -> GateWeights:
        head = Affine(self.sign * self.head.weight, self.sign * self.head.bias)
        return GateWeights(head, len(head.weight))


@dataclass(frozen=True, kw_only=True)
class BrokenGateConfig(GateConfig):
    name: ClassVar[str] = "broken"
    off: float = 0.0
    """Weight of a path that is not computed."""
    cast: bool = True
    """Decide in float32."""
    sign: int = 1
    """Of the weights that it is said to have; those of forward are positive."""

    def build(self, in_features: int, *, paths: int, channels: int, keep_one: bool) -> BrokenGate:
        return BrokenGate(in_features, paths, self.off, self.sign, cast=self.cast)

    def draw_noise(
        self, shape: tuple[int, int, int], generator: torch.Generator | None, device: torch.device
    ) -> None:
        return None


class LocalRate(ObjectivePart):
    def forward(self, batch, output) -> dict[str, Tensor]:
        return {"local rate": (output.path.weight.mean() - 0.2).square()}


@dataclass(frozen=True, kw_only=True)
class LocalRateConfig(ObjectiveConfig):
    """The square of a mean over this process's images only."""

    name: ClassVar[str] = "local-rate"

    def build(self, model, table) -> LocalRate:
        return LocalRate()


class Overflow(ObjectivePart):
    def forward(self, batch, output) -> dict[str, Tensor]:
        return {"overflow": output.logits.sum() * torch.inf}


@dataclass(frozen=True, kw_only=True)
class OverflowConfig(ObjectiveConfig):
    name: ClassVar[str] = "overflow"

    def build(self, model, table) -> Overflow:
        return Overflow()
