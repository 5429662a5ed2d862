"""SP-Net as a choice of parts: the vanilla network. What the paper adds is its objective."""

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Granularity
from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.network import DynamicConfig
from dyncore.registry import Method


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """Short-range routers and relaxed decisions on whole blocks (Eq. 1), or on each of N paths."""
    return DynamicConfig(
        backbone=backbone,
        num_classes=num_classes,
        granularity=Granularity(paths=paths),
        router=ShortRangeRouterConfig(),
        gate=GumbelSoftmaxGateConfig(),
        combine="blend" if paths == 1 else "additive",
    )


METHOD = Method(
    name="spnet",
    configure=configure,
    backbones=(
        *(f"resnet{layers}-cifar" for layers in (20, 32, 110)),
        *(f"resnet{layers}" for layers in (50, 101)),
    ),
)
