"""LC-Net: Fully Dynamic Inference with Deep Neural Networks, on dyncore."""

from dyn_lcnet.losses import (
    ExecutedFlops,
    ExecutedFlopsConfig,
    SalienceL1,
    SalienceL1Config,
    executed,
    salience_l1,
)
from dyn_lcnet.router import PooledNormRouter, PooledNormRouterConfig

__all__ = [
    "ExecutedFlops",
    "ExecutedFlopsConfig",
    "PooledNormRouter",
    "PooledNormRouterConfig",
    "SalienceL1",
    "SalienceL1Config",
    "executed",
    "salience_l1",
]
