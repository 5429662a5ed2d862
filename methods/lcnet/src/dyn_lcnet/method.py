"""LC-Net as a choice of parts."""

from dyncore.gating import IdentityRouterConfig, ReLU1GateConfig
from dyncore.registry import Method

METHOD = Method(
    name="lcnet",
    router=IdentityRouterConfig(),
    gate=ReLU1GateConfig(),
    channels=True,
    one_path=True,
    backbones=(
        *(f"resnet{layers}-cifar" for layers in (18, 20, 50, 101)),
        *(f"resnet{layers}" for layers in (50, 101)),
    ),
)
"""L-Net and C-Net on the pooled input of each block (Eq. 2–5); channels are gated inside a whole
block, so there is one path."""
