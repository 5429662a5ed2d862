"""Everything that is added up for training."""

from dyncore.objectives._part import Objective, ObjectiveConfig, ObjectivePart
from dyncore.objectives._parts import (
    CrossEntropyConfig,
    ExecutionRateConfig,
    FlopsRatioConfig,
)

__all__ = [
    "CrossEntropyConfig",
    "ExecutionRateConfig",
    "FlopsRatioConfig",
    "Objective",
    "ObjectiveConfig",
    "ObjectivePart",
]
