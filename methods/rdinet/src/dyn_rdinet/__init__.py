"""RDI-Net: Relational Dynamic Inference Networks, on dyncore."""

from dyn_rdinet.losses import Ranking, RankingConfig, image_histogram, ranking_loss
from dyn_rdinet.router import RelationalRouter, RelationalRouterConfig

__all__ = [
    "Ranking",
    "RankingConfig",
    "RelationalRouter",
    "RelationalRouterConfig",
    "image_histogram",
    "ranking_loss",
]
