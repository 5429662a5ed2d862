"""SP-Net as a choice of parts: the vanilla network. What the paper adds is its objective."""

from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.registry import Method

METHOD = Method(
    name="spnet",
    router=ShortRangeRouterConfig(),
    gate=GumbelSoftmaxGateConfig(),
    combine="blend",
    backbones=(
        *(f"resnet{layers}-cifar" for layers in (20, 32, 110)),
        *(f"resnet{layers}" for layers in (50, 101)),
    ),
)
"""Short-range routers and relaxed decisions on whole blocks (Eq. 1), or on each of N paths."""
