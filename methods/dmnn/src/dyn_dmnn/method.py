"""DMNN as a choice of parts."""

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Granularity
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.network import DynamicConfig
from dyncore.registry import Method


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """Context routers (Eq. 5-7) and Gumbel noise (Eq. 8) on sub-blocks that add up (Eq. 4)."""
    return DynamicConfig(
        backbone=backbone,
        num_classes=num_classes,
        granularity=Granularity(paths=paths),
        router=ContextRouterConfig(),
        gate=StraightThroughGateConfig(noise="gumbel"),
        combine="additive",
    )


METHOD = Method(
    name="dmnn",
    configure=configure,
    backbones=(
        "resnet50",
        "resnet101",
        "mobilenetv2",
        "mobilenetv2-1.4",
        "resnet50-cifar2",
        "resnet20-cifar",
        "resnet110-cifar",
    ),
    paths=(2, 3, 4),
)
