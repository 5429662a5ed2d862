"""RDI-Net as a choice of parts."""

from dyn_rdinet.router import RelationalRouterConfig
from dyncore.gating import GumbelSoftmaxGateConfig
from dyncore.registry import Method

METHOD = Method(
    name="rdinet",
    router=RelationalRouterConfig(),
    gate=GumbelSoftmaxGateConfig(),
    combine="blend",
    backbones=(
        *(f"resnet{layers}-cifar" for layers in (20, 32, 110)),
        *(f"resnet{layers}" for layers in (50, 101)),
    ),
)
"""Relational routers and relaxed decisions on whole blocks (Eq. 9), or on each of N paths."""
