"""Short-range routers on whole blocks: the baseline of RDI-Net and SP-Net."""

from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.registry import Method

METHOD = Method(
    name="vanilla",
    router=ShortRangeRouterConfig(),
    gate=GumbelSoftmaxGateConfig(),
    combine="blend",
    backbones=(
        *(f"resnet{n}-cifar" for n in (20, 32, 110)),
        *(f"resnet{n}" for n in (50, 101)),
    ),
)
