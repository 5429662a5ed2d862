"""RDI-Net as a choice of parts."""

from dyn_rdinet.router import RelationalRouterConfig
from dyncore.backbones import BackboneConfig
from dyncore.blocks import Granularity
from dyncore.gating import GumbelSoftmaxGateConfig
from dyncore.network import DynamicConfig
from dyncore.registry import Method


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """Relational routers and relaxed decisions on whole blocks (Eq. 9), or on each of N paths."""
    return DynamicConfig(
        backbone=backbone,
        num_classes=num_classes,
        granularity=Granularity(paths=paths),
        router=RelationalRouterConfig(),
        gate=GumbelSoftmaxGateConfig(),
        combine="blend" if paths == 1 else "additive",
    )


METHOD = Method(
    name="rdinet",
    configure=configure,
    backbones=(
        *(f"resnet{layers}-cifar" for layers in (20, 32, 110)),
        *(f"resnet{layers}" for layers in (50, 101)),
    ),
)
