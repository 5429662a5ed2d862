"""The backbones' names."""

import re

from dyncore.backbones._backbone import BackboneConfig
from dyncore.backbones._mobilenet_v2 import MobileNetV2Config
from dyncore.backbones._resnet import ResNetConfig

WIDTHS = (64, 128, 256, 512)
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DEPTHS[152] = (3, 8, 36, 3)


def _resnet(layers: int, stem: str) -> ResNetConfig:
    return ResNetConfig(
        block="basic" if layers < 50 else "bottleneck",
        depths=DEPTHS[layers],
        widths=WIDTHS,
        stem=stem,  # type: ignore[arg-type]
    )


def _cifar_resnet(layers: int, shortcut: str) -> ResNetConfig:
    return ResNetConfig(
        block="basic",
        depths=((layers - 2) // 6,) * 3,
        widths=(16, 32, 64),
        stem="cifar",
        shortcut=shortcut,  # type: ignore[arg-type]
    )


BACKBONES: dict[str, BackboneConfig] = {
    **{f"resnet{n}": _resnet(n, "imagenet") for n in DEPTHS},
    **{f"resnet{n}-cifar": _cifar_resnet(n, "pad") for n in (20, 32, 44, 56, 110)},
    **{f"resnet{n}b-cifar": _cifar_resnet(n, "projection") for n in (20, 32, 44, 56, 110)},
    **{f"resnet{n}-cifar": _resnet(n, "cifar") for n in (18, 50, 101)},
    "resnet50-cifar2": _resnet(50, "cifar2"),
    "mobilenetv2": MobileNetV2Config(),
    "mobilenetv2-1.4": MobileNetV2Config(width=1.4, multiple_of=4),
}
"""Every named backbone. ``resnet20b-cifar`` is the 6n+2 net with shortcut option B,
``mobilenetv2-1.4`` has the size that CDB and DMNN print."""


def backbone_config(name: str) -> BackboneConfig:
    """The configuration of a named backbone; ``mobilenetv2-WIDTH`` takes any width.

    Raises ValueError, listing the names, for an unknown one.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if match := re.fullmatch(r"mobilenetv2-(\d+(?:\.\d+)?)", name):
        return MobileNetV2Config(width=float(match[1]))
    raise ValueError(f"unknown backbone {name!r}; known are {', '.join(BACKBONES)}")
