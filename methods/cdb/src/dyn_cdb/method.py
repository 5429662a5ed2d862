"""CDB as a choice of parts."""

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Granularity
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.network import DynamicConfig
from dyncore.registry import Method


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """Context routers (Eq. 4-6) and Gaussian noise (Eq. 9) on groups that add up (Eq. 3)."""
    return DynamicConfig(
        backbone=backbone,
        num_classes=num_classes,
        granularity=Granularity(paths=paths),
        router=ContextRouterConfig(),
        gate=StraightThroughGateConfig(noise="gaussian"),
        combine="additive",
    )


METHOD = Method(
    name="cdb",
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
