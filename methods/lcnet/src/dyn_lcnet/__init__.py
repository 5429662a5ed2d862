"""LC-Net: Fully Dynamic Inference with Deep Neural Networks, on dyncore."""

from dyn_lcnet.losses import (
    SalienceL1,
    SalienceL1Config,
    salience_l1,
)
from dyn_lcnet.router import PooledNormRouter, PooledNormRouterConfig

__all__ = [
    "PooledNormRouter",
    "PooledNormRouterConfig",
    "SalienceL1",
    "SalienceL1Config",
    "salience_l1",
]
