"""DMNN as a choice of parts."""

from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.registry import Method

METHOD = Method(
    name="dmnn",
    router=ContextRouterConfig(),
    gate=StraightThroughGateConfig(noise="gumbel"),
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
"""Context routers (Eq. 5-7) and Gumbel noise (Eq. 8) on sub-blocks that add up (Eq. 4)."""
