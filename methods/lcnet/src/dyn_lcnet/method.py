"""LC-Net as a choice of parts."""

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Granularity
from dyncore.gating import IdentityRouterConfig, ReLU1GateConfig
from dyncore.network import DynamicConfig
from dyncore.registry import Method


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """L-Net and C-Net on the pooled input of each block (Eq. 2–5).

    Raises ValueError for more than one path: channels are gated inside a whole block.
    """
    if paths > 1:
        raise ValueError(f"lcnet models have one path per block, not {paths}: drop '-n{paths}'")
    return DynamicConfig(
        backbone=backbone,
        num_classes=num_classes,
        granularity=Granularity(channels=True),
        router=IdentityRouterConfig(),
        gate=ReLU1GateConfig(),
    )


METHOD = Method(
    name="lcnet",
    configure=configure,
    backbones=(
        *(f"resnet{layers}-cifar" for layers in (18, 20, 50, 101)),
        *(f"resnet{layers}" for layers in (50, 101)),
    ),
)
