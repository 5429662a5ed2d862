"""Everything that is added up for training."""

from dyncore.objectives._category import CategoryLossConfig, category_loss
from dyncore.objectives._nested import NestedConfig
from dyncore.objectives._part import Objective, ObjectiveConfig, ObjectivePart
from dyncore.objectives._parts import (
    CrossEntropyConfig,
    ExecutionRateConfig,
    FlopsRatioConfig,
)
from dyncore.objectives._teaching import FullPathConfig, TeacherConfig, distillation

__all__ = [
    "CategoryLossConfig",
    "CrossEntropyConfig",
    "ExecutionRateConfig",
    "FlopsRatioConfig",
    "FullPathConfig",
    "NestedConfig",
    "Objective",
    "ObjectiveConfig",
    "ObjectivePart",
    "TeacherConfig",
    "category_loss",
    "distillation",
]
