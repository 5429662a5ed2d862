"""MobileNetV2 at any width (Sandler et al. 2018)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.backbones._backbone import Backbone, BackboneConfig, check_in_channels, initialise
from dyncore.backbones._ends import HeadLayers, StemLayers
from dyncore.backbones._route import Route, run_blocks
from dyncore.blocks import (
    Combine,
    GatedBlock,
    Granularity,
    Layer,
    Path,
    PathBuilder,
    even_width,
    identity,
)
from dyncore.gating import is_plain

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expansion, output channels at width 1, repeats, stride of the first), Table 2 of the paper."""


def _round_channels(channels: float, step: int) -> int:
    """The nearest multiple of ``step`` that is not more than 10 % below ``channels``."""
    rounded = max(step, int(channels + step / 2) // step * step)
    return rounded if rounded >= 0.9 * channels else rounded + step


def _conv_norm_relu6(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(
        in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU6(inplace=True))


def _layer(conv_norm: nn.Module) -> Layer | None:
    """What :func:`_conv_norm_relu6` made; None for what took its place."""
    if not is_plain(conv_norm, nn.Sequential) or len(conv_norm) != 3:
        return None
    return Layer(*conv_norm)


def _inverted_residual(
    in_channels: int, hidden: int, out_channels: int, stride: int, *, expand: bool
) -> PathBuilder:
    def build(owner: nn.Module) -> Path:
        hidden_layers = [_conv_norm_relu6(in_channels, hidden, 1)] if expand else []
        hidden_layers.append(_conv_norm_relu6(hidden, hidden, 3, stride, groups=hidden))
        conv, norm, _ = _conv_norm_relu6(hidden, out_channels, 1)
        owner.conv = nn.Sequential(*hidden_layers, conv, norm)
        n = len(hidden_layers)
        names = [(f"conv.{i}.0", f"conv.{i}.1", f"conv.{i}.2") for i in range(n)]
        return Path(owner, (*names, (f"conv.{n}", f"conv.{n + 1}", None)), whole="conv")

    return build


@dataclass(frozen=True, kw_only=True)
class MobileNetV2Config(BackboneConfig):
    """MobileNetV2; a block with N paths has N expansions of 6/N (DMNN Figure 2a)."""

    name: ClassVar[str] = "mobilenetv2"
    when_absent: ClassVar[Mapping[str, Any]] = {"dropout": 0.2}
    width: float = 1.0
    """Multiplier of every stage's channels."""
    dropout: float = 0.0
    """Dropout before the classifier in training; torchvision's is 0.2, CDB and DMNN print none."""
    multiple_of: int = 8
    """Channels are rounded to multiples of this; torchvision's 8. The size that CDB and DMNN print
    for width 1.4 is that of multiples of 4."""

    def __post_init__(self) -> None:
        check_in_channels(self.in_channels)
        if not 0 < self.width < 100:
            raise ValueError(f"width must be positive, e.g. 1.0 or 1.4, not {self.width}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if self.multiple_of < 1:
            raise ValueError(f"multiple_of must be at least 1, not {self.multiple_of}")

    def build(
        self,
        num_classes: int,
        *,
        granularity: Granularity | None = None,
        combine: Combine = "additive",
    ) -> "MobileNetV2":
        return MobileNetV2(self, num_classes, granularity or Granularity(), combine)


class _Features(nn.Sequential):
    """Stem, blocks and the layer before the mean."""

    def forward(
        self, x: Float[Tensor, "batch channel height width"], *, route: Route | None = None
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        first, *blocks, last = self
        return last(run_blocks(blocks, first(x), route))


class MobileNetV2(Backbone):
    """See :class:`MobileNetV2Config`."""

    def __init__(
        self,
        config: MobileNetV2Config,
        num_classes: int,
        granularity: Granularity,
        combine: Combine,
    ) -> None:
        super().__init__()
        if granularity.channels:
            raise ValueError(
                "granularity.channels is not defined for mobilenetv2, whose second convolution "
                "is depthwise: use a ResNet backbone"
            )

        def rounded(channels: int) -> int:
            return _round_channels(channels * config.width, config.multiple_of)

        channels = rounded(32)
        features: list[nn.Module] = [_conv_norm_relu6(config.in_channels, channels, 3, stride=2)]
        stages: list[int] = []
        for expansion, width, repeats, first_stride in STAGES:
            out_channels = rounded(width)
            for index in range(repeats):
                stride = first_stride if index == 0 else 1
                paths = granularity.paths if expansion > 1 else 1
                path = _inverted_residual(
                    channels,
                    even_width(channels * expansion, paths),
                    out_channels,
                    stride,
                    expand=expansion > 1,
                )
                same = stride == 1 and channels == out_channels
                features.append(
                    GatedBlock(
                        [path] * paths,
                        downsample=nn.Identity() if same else None,
                        activation=identity,
                        combine=combine,
                    )
                )
                stages.append((stages[-1] if stages else 0) + (stride == 2))
                channels = out_channels
        last = max(1280, rounded(1280))
        features.append(_conv_norm_relu6(channels, last, 1))
        self.features = _Features(*features)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(last, num_classes))
        self.stages = tuple(stages)
        initialise(self)

    @property
    def blocks(self) -> Sequence[GatedBlock]:
        return list(self.features)[1:-1]  # type: ignore[return-value]

    @property
    def stem_layers(self) -> StemLayers | None:
        layer = _layer(self.features[0])
        return None if layer is None else StemLayers(layer, None)

    @property
    def head_layers(self) -> HeadLayers | None:
        layer, classifier = _layer(self.features[-1]), self.classifier
        if layer is None or not is_plain(classifier, nn.Sequential):
            return None
        return HeadLayers(layer, self.avgpool, classifier[-1])

    def stem(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        return self.features[0](images)

    def head(
        self, x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        return self._classify(self.features[-1](x))

    def forward(
        self, images: Float[Tensor, "batch channel height width"], *, route: Route | None = None
    ) -> Float[Tensor, "batch classes"]:
        """See :meth:`Backbone.forward`; ``features`` is called as a whole."""
        if type(self) is not MobileNetV2:  # it may have another stem or head
            return super().forward(images, route=route)
        return self._classify(self.features(images, route=route))

    def _classify(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(x).flatten(1))
