"""The block: shortcut, N gated paths, and how they are combined."""

import functools
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks._activation import Activation
from dyncore.blocks._path import Path
from dyncore.gating import Decision

Combine: TypeAlias = Literal["additive", "blend"]
PathBuilder: TypeAlias = Callable[[nn.Module], Path]
"""Registers a path's layers in the module it is given, and returns the path."""
FusedForm: TypeAlias = Callable[["GatedBlock", Tensor, Decision | None], Tensor | None]
"""What a block gives for an input and a decision, or None where it has to run as it stands."""


class PadShortcut(nn.Module):
    """Parameter-free shortcut: strided identity, new channels zero (ResNet option A)."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = new_channels

    def forward(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        before = self.new_channels // 2
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, before, self.new_channels - before))


class ProjectionShortcut(nn.Sequential):
    """A convolution and its norm (ResNet option B), under torchvision's names ``0`` and ``1``."""

    def __init__(self, conv: nn.Conv2d, norm: nn.Module) -> None:
        super().__init__(conv, norm)

    @property
    def conv(self) -> nn.Module:
        return self[0]

    @property
    def norm(self) -> nn.Module:
        return self[1]


class GatedBlock(nn.Module):
    """``act(shortcut(x) + Σₙ wₙ pathₙ(x))``, or for N = 1 the blend of RDI-Net Eq. 9.

    *Additive*: CDB Eq. 3, DMNN Eq. 4, LC-Net Eq. 2. *Blend*: ``v F(x) + (1 - v) act(shortcut(x))``
    with F the whole block. For hard decisions both give the same. The shortcut always runs.
    With one path the layers keep the names of the static backbone.
    """

    fused: FusedForm | None = None
    """Asked before the block runs as it stands. A function of a module, so that copies and pickles
    of the block have it, too; ``dyncore.kernels`` puts it here for training."""

    channel_axis: int = 1
    """Of its input: 1, or -1 for sequences of tokens and maps with channels last."""

    def __init__(
        self,
        paths: list[PathBuilder],
        *,
        downsample: nn.Module | None,
        activation: Activation,
        combine: Combine = "additive",
    ) -> None:
        """``downsample`` is the shortcut (``nn.Identity`` where shapes agree; None: there is none).

        Raises ValueError for a blend of several paths.
        """
        super().__init__()
        if combine == "blend" and len(paths) > 1:
            raise ValueError(f"combine='blend' needs one path per block, not {len(paths)}")
        if len(paths) == 1:
            self.paths: tuple[Path, ...] = (paths[0](self),)
        else:
            self.branches = nn.ModuleList(nn.Module() for _ in paths)
            self.paths = tuple(b(o) for b, o in zip(paths, self.branches, strict=True))
        self.downsample = downsample
        self.activation = activation
        self.combine = combine

    @property
    def gated(self) -> bool:
        """Whether there is anything to decide: one path without a shortcut must always run."""
        return len(self.paths) > 1 or self.downsample is not None

    @property
    def gated_channels(self) -> int:
        """Output channels of the first convolution: what channel gating decides."""
        return self.paths[0].gated_channels

    def pool(self, x: Float[Tensor, "batch *map"]) -> Float[Tensor, "batch channel"]:
        """What a router reads: the mean over pixels, or over tokens."""
        return mean_over_places(x, self.channel_axis)

    def remove_path(self, index: int) -> None:
        """Take a path out for good, with its parameters; it must be off for every image."""
        self.paths = (*self.paths[:index], self.paths[index].removed(), *self.paths[index + 1 :])

    def forward(
        self, x: Float[Tensor, "batch *map"], decision: Decision | None = None
    ) -> Float[Tensor, "batch *out_map"]:
        """Masked form: every path runs and is weighted. Without a decision: the static block."""
        if self.fused is not None and (out := self.fused(self, x, decision)) is not None:
            return out
        shortcut = None if self.downsample is None else self.downsample(x)
        chosen = None if decision is None else decision.channels
        channels = None if chosen is None else chosen.weight
        kept = [n for n, path in enumerate(self.paths) if path.exists]
        residuals = [self.paths[n](x, channels) for n in kept]
        if decision is not None and residuals:
            weights = [_over(decision.weight[:, n], residuals[0]) for n in kept]
            if self.combine == "blend" and shortcut is not None:
                executed = self.activation(shortcut + residuals[0])
                weight = weights[0].to(executed.dtype)
                return torch.lerp(self.activation(shortcut), executed, weight)
            residuals = [w.to(y.dtype) * y for w, y in zip(weights, residuals, strict=True)]
        terms = residuals if shortcut is None else [shortcut, *residuals]
        return self.activation(functools.reduce(torch.add, terms))

    def run_skipped(
        self, x: Float[Tensor, "batch *map"], decision: Decision | None
    ) -> Float[Tensor, "batch *out_map"]:
        """Skipping form, for hard decisions in evaluation: an unchosen path sees no image."""
        if decision is None:
            return self.forward(x)
        out = None if self.downsample is None else self.downsample(x)
        for n, path in enumerate(self.paths):
            images = decision.on[:, n].nonzero().squeeze(1)
            if len(images) == 0:
                continue
            residual = _residual(path, x[images], decision.images(images))
            weight = decision.weight[images, n].to(residual.dtype)
            if out is None:
                out = residual.new_zeros(len(x), *residual.shape[1:])
            out = out.index_add(0, images, residual * _over(weight, residual))
        if out is None:  # no image runs a path; what one gives for none has the shape
            nothing = next(path for path in self.paths if path.exists)(x[:0])
            out = nothing.new_zeros(len(x), *nothing.shape[1:])
        return self.activation(out)


def mean_over_places(
    x: Float[Tensor, "batch *map"], channel_axis: int = 1
) -> Float[Tensor, "batch channel"]:
    """The mean over all axes but those of images and channels."""
    channels = channel_axis % x.ndim
    return x.mean([axis for axis in range(1, x.ndim) if axis != channels])


def _over(weight: Tensor, maps: Tensor) -> Tensor:
    """A number per image, to multiply its map."""
    return weight.reshape(-1, *(1,) * (maps.ndim - 1))


def _residual(path: Path, x: Tensor, decision: Decision) -> Tensor:
    if decision.channels is None:
        return path(x)
    chosen = zip(x.split(1), decision.channels.on, decision.channels.weight, strict=True)
    return torch.cat([path.run_channels(image, on, weight) for image, on, weight in chosen])
