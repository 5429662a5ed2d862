"""Residual networks in ImageNet form and CIFAR form (He et al. 2016)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.backbones._backbone import Backbone, BackboneConfig, check_in_channels, initialise
from dyncore.backbones._ends import HeadLayers, StemLayers
from dyncore.backbones._route import Route, Stage
from dyncore.blocks import (
    Combine,
    GatedBlock,
    Granularity,
    Layer,
    PadShortcut,
    Path,
    PathBuilder,
    ProjectionShortcut,
    bottleneck_width,
    even_width,
)

EXPANSION = {"basic": 1, "bottleneck": 4}


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)


def _basic(in_channels: int, width: int, out_channels: int, stride: int) -> PathBuilder:
    def build(owner: nn.Module) -> Path:
        owner.conv1 = _conv(in_channels, width, 3, stride)
        owner.bn1 = nn.BatchNorm2d(width)
        owner.relu1 = nn.ReLU(inplace=True)
        owner.conv2 = _conv(width, out_channels, 3)
        owner.bn2 = nn.BatchNorm2d(out_channels)
        return Path(owner, (("conv1", "bn1", "relu1"), ("conv2", "bn2", None)))

    return build


def _bottleneck(in_channels: int, width: int, out_channels: int, stride: int) -> PathBuilder:
    def build(owner: nn.Module) -> Path:
        owner.conv1 = _conv(in_channels, width, 1)
        owner.bn1 = nn.BatchNorm2d(width)
        owner.relu1 = nn.ReLU(inplace=True)
        owner.conv2 = _conv(width, width, 3, stride)
        owner.bn2 = nn.BatchNorm2d(width)
        owner.relu2 = nn.ReLU(inplace=True)
        owner.conv3 = _conv(width, out_channels, 1)
        owner.bn3 = nn.BatchNorm2d(out_channels)
        return Path(
            owner,
            (("conv1", "bn1", "relu1"), ("conv2", "bn2", "relu2"), ("conv3", "bn3", None)),
        )

    return build


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(BackboneConfig):
    """A residual network of basic or bottleneck blocks, stride in the 3×3."""

    name: ClassVar[str] = "resnet"
    block: Literal["basic", "bottleneck"]
    """Two 3×3 convolutions, or 1×1 – 3×3 – 1×1."""
    depths: tuple[int, ...]
    """Number of blocks per stage."""
    widths: tuple[int, ...]
    """Width per stage; a bottleneck stage has four times as many output channels."""
    stem: Literal["imagenet", "cifar", "cifar2"]
    """7×7 stride 2 and max-pool; 3×3 stride 1; or 3×3 stride 1 and max-pool (reduces by 2)."""
    shortcut: Literal["pad", "projection"] = "projection"
    """Where shapes change: strided identity with zero channels (option A) or 1×1 (option B)."""

    def __post_init__(self) -> None:
        check_in_channels(self.in_channels)
        if not self.depths or len(self.depths) != len(self.widths):
            raise ValueError(
                f"depths {self.depths} and widths {self.widths} must name the same stages, "
                "at least one"
            )
        if min(self.depths) < 1 or min(self.widths) < 1:
            raise ValueError(f"depths {self.depths} and widths {self.widths} must be positive")

    def build(
        self,
        num_classes: int,
        *,
        granularity: Granularity | None = None,
        combine: Combine = "additive",
    ) -> "ResNet":
        return ResNet(self, num_classes, granularity or Granularity(), combine)

    def first_blocks(self, share: float) -> tuple[int, ...]:
        """See :meth:`BackboneConfig.first_blocks`."""
        if not 0 < share <= 1:
            raise ValueError(f"share of the blocks must be in (0, 1], not {share}")
        starts = accumulate(self.depths[:-1], initial=0)
        counts = (max(1, round(share * depth)) for depth in self.depths)
        return tuple(
            first + i for first, count in zip(starts, counts, strict=True) for i in range(count)
        )

    def keeping(self, blocks: Sequence[int]) -> "ResNetConfig":
        """See :meth:`BackboneConfig.keeping`; up to some stage each keeps its first block."""
        starts = tuple(accumulate(self.depths, initial=0))
        stages = [[b for b in blocks if first <= b < end] for first, end in pairwise(starts)]
        kept = [stage for stage in stages if stage]
        if (
            not kept
            or list(chain.from_iterable(kept)) != list(blocks)
            or list(blocks) != sorted(set(blocks))
            or tuple(stage[0] for stage in kept) != starts[: len(kept)]
        ):
            raise ValueError(
                f"blocks {tuple(blocks)} make no network: give numbers from 0 to {starts[-1] - 1} "
                f"in ascending order, the stages' first ones, {starts[:-1]}, among them up to the "
                "last stage that is kept"
            )
        depths = tuple(map(len, kept))
        return replace(self, depths=depths, widths=self.widths[: len(depths)])

    def paths(
        self, in_channels: int, width: int, stride: int, granularity: Granularity
    ) -> list[PathBuilder]:
        """The N paths of a block."""
        n = granularity.paths
        out_channels = width * EXPANSION[self.block]
        path: Callable[[int, int, int, int], PathBuilder]
        if self.block == "basic":
            path, width = _basic, even_width(width, n)
        else:
            path, width = _bottleneck, bottleneck_width(in_channels, width, out_channels, n)
        return [path(in_channels, width, out_channels, stride) for _ in range(n)]


class ResNet(Backbone):
    """See :class:`ResNetConfig`."""

    def __init__(
        self,
        config: ResNetConfig,
        num_classes: int,
        granularity: Granularity,
        combine: Combine,
    ) -> None:
        super().__init__()
        channels = config.widths[0]
        if config.stem == "imagenet":
            self.conv1 = nn.Conv2d(config.in_channels, channels, 7, 2, 3, bias=False)
        else:
            self.conv1 = _conv(config.in_channels, channels, 3)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if config.stem == "cifar" else nn.MaxPool2d(3, 2, 1)
        self.stages = tuple(s for s, depth in enumerate(config.depths) for _ in range(depth))
        for stage, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                out_channels = width * EXPANSION[config.block]
                blocks.append(
                    GatedBlock(
                        config.paths(channels, width, stride, granularity),
                        downsample=_shortcut(config.shortcut, channels, out_channels, stride),
                        activation=nn.ReLU(),
                        combine=combine,
                    )
                )
                channels = out_channels
            first = self.stages.index(stage)
            self.add_module(f"layer{stage + 1}", Stage(*blocks, first=first))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        initialise(self)

    @property
    def blocks(self) -> Sequence[GatedBlock]:
        return list(chain.from_iterable(map(_inside, self._layers)))

    @property
    def _layers(self) -> list[nn.Module]:
        return [getattr(self, f"layer{stage + 1}") for stage in range(self.stages[-1] + 1)]

    @property
    def stem_layers(self) -> StemLayers:
        return StemLayers(Layer(self.conv1, self.bn1, self.relu), self.maxpool)

    @property
    def head_layers(self) -> HeadLayers:
        return HeadLayers(None, self.avgpool, self.fc)

    def stem(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        return self.stem_layers(images)

    def trunk(
        self,
        x: Float[Tensor, "batch channel height width"],
        *,
        route: Route | None = None,
        stages: int | None = None,
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        """See :meth:`Backbone.trunk`; ``layer1`` and the others are called as modules."""
        for layer in self._layers[:stages]:
            x = layer(x, route=route)
        return x

    def head(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        return self.head_layers(x)


def _inside(layer: nn.Module) -> Iterable[GatedBlock]:
    """A stage, perhaps taken out of what wraps it (``torch.compile``, ``checkpoint_wrapper``)."""
    while not isinstance(layer, nn.Sequential):
        (layer,) = layer.children()
    return layer  # type: ignore[return-value]


def _shortcut(kind: str, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(stride, out_channels - in_channels)
    return ProjectionShortcut(
        _conv(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels)
    )
