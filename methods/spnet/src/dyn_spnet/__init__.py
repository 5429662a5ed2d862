"""SP-Net: Slowly Progressing Dynamic Inference Networks, on dyncore."""

from dyn_spnet.evolution import EvolutionConfig, evolution_loss, feature_chains
from dyn_spnet.exits import StageExits
from dyn_spnet.losses import SlowProgress, SlowProgressConfig
from dyn_spnet.twin import Twin, TwinConfig, logits_distillation, path_distillation

__all__ = [
    "EvolutionConfig",
    "SlowProgress",
    "SlowProgressConfig",
    "StageExits",
    "Twin",
    "TwinConfig",
    "evolution_loss",
    "feature_chains",
    "logits_distillation",
    "path_distillation",
]
