"""CDB as a choice of parts."""

from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.registry import Method

METHOD = Method(
    name="cdb",
    router=ContextRouterConfig(),
    gate=StraightThroughGateConfig(noise="gaussian"),
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
"""Context routers (Eq. 4-6) and Gaussian noise (Eq. 9) on groups that add up (Eq. 3)."""
