"""Routers and gates in evaluation, as weights: what an engine needs to run them its own way."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.gating._decision import Choice, Decision
from dyncore.gating._plain import is_plain

RouterState: TypeAlias = tuple[Tensor, ...]
"""What routers hand on: any tensors whose first dimension is the image. First router: ``()``."""


@dataclass(frozen=True)
class Affine:
    """``weight x + bias``."""

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, "out"] | None = None

    @classmethod
    def of(cls, linear: nn.Module, norm: nn.Module | None = None) -> "Affine | None":
        """``norm(linear(x))`` in evaluation, folded in float64; no norm: None or ``nn.Identity``.

        None where one of them is not a plain ``nn.Linear`` or ``nn.BatchNorm1d`` with running
        statistics: the weights would not tell what it computes.
        """
        if not is_plain(linear, nn.Linear):
            return None
        weight = linear.weight.detach()
        bias = None if linear.bias is None else linear.bias.detach()
        if norm is None or is_plain(norm, nn.Identity):
            return cls(weight, bias)
        if not is_plain(norm, nn.BatchNorm1d, nn.SyncBatchNorm) or norm.running_mean is None:
            return None
        return cls(*_fold(weight, bias, norm))

    def __call__(self, x: Float[Tensor, "batch in"]) -> Float[Tensor, "batch out"]:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class RouterWeights:
    """``s_n = relu(mix(relu(align(pooled)) + Σ_k decays_k s_{n-k})) + relu(history(s_{n-1}))``.

    What is None is left out, with its ReLU; without ``align`` the feature is the pooled input. The
    state is the last ``memory`` features, newest last. Of ``decays``, nearest first, as many count
    as there are features.
    """

    align: Affine | None = None
    decays: tuple[float, ...] = ()
    mix: Affine | None = None
    history: Affine | None = None
    memory: int = 0

    def __call__(self, pooled: Tensor, state: RouterState) -> tuple[Tensor, RouterState]:
        """See :meth:`Router.forward`."""
        if self.align is None:
            return pooled, state
        feature = self.align(pooled).relu_()
        for decay, earlier in zip(self.decays, reversed(state), strict=False):
            feature.add_(earlier, alpha=decay)
        if self.mix is not None:
            feature = self.mix(feature).relu_()
        if self.history is not None:
            feature += self.history(state[-1]).relu_()
        return feature, (*state, feature)[-self.memory :] if self.memory else state


@dataclass(frozen=True)
class GateWeights:
    """Scores → a hard decision: on where a score is above the threshold.

    With ``clamps`` the weights are the scores clamped to [0, 1], of paths (unless they are always
    on) and then of groups of ``channel_group`` channels, and a threshold below 0 raises them first;
    else they are 0 or 1, and there are no channels.
    """

    head: Affine
    paths: int
    channels: int = 0
    channel_group: int = 1
    clamps: bool = False
    decides_paths: bool = True
    keep_one: bool = False
    threshold: Float[Tensor, "*path"] | None = None
    """The gate's own tensor, a number or one for each path, so that what moves the gate moves this;
    None: 0, for good."""

    def __call__(self, feature: Float[Tensor, "batch feature"]) -> Decision:
        """See :meth:`Gate.forward`, not relaxed."""
        score = at_least_float32(self.head(feature))
        threshold = score.new_zeros(()) if self.threshold is None else self.threshold
        if self.clamps:
            score = score - threshold.clamp(max=0)
            threshold = threshold.clamp(min=0)
        if not self.decides_paths:
            score = F.pad(score, (self.paths, 0), value=1.0)
        if self.channel_group > 1:
            score = of_each_channel(score, self.paths, self.channels, self.channel_group)
        on = score > threshold
        path_on, channel_on = on[:, : self.paths], on[:, self.paths :]
        if not self.decides_paths:
            path_on = torch.ones_like(path_on)
        elif self.keep_one:
            path_on = keep_one(path_on, score[:, : self.paths])
        if not self.clamps:
            return Decision.of(path_on, dtype=score.dtype)
        weight = score.clamp(0, 1)
        paths = Choice(path_on, weight[:, : self.paths] * path_on)
        if not self.channels:
            return Decision(paths)
        return Decision(paths, Choice(channel_on, weight[:, self.paths :] * channel_on))


def _fold(
    weight: Tensor, bias: Tensor | None, norm: nn.modules.batchnorm._BatchNorm
) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear layer and the norm after it, as one layer."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() if bias is None else bias - norm.running_mean.double()
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    shift = shift * scale
    if norm.affine:
        shift = shift + norm.bias.detach().double()
    folded = weight.double() * scale[:, None]
    return folded.to(weight.dtype), shift.to(weight.dtype)


def keep_one(on: Tensor, score: Tensor) -> Tensor:
    """``on`` (B, N), and where nothing is on the path of the highest score."""
    best = F.one_hot(score.argmax(1), on.shape[1]).bool()
    return on | (best & ~on.any(1, keepdim=True))


def of_each_channel(
    score: Float[Tensor, "batch score"], paths: int, channels: int, group: int
) -> Float[Tensor, "batch gated"]:
    """Scores of paths and of groups of channels → of paths and of channels."""
    of_groups = score[:, paths:].repeat_interleave(group, 1)
    return torch.cat([score[:, :paths], of_groups[:, :channels]], 1)


def at_least_float32(score: Tensor) -> Tensor:
    """Decisions, rates and MACs do not fit into 16 bits."""
    return score.float() if score.dtype in (torch.bfloat16, torch.float16) else score
