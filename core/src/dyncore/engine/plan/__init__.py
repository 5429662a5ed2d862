"""What there is to run, for any device: nothing here knows how."""

from dyncore.engine.plan._fold import agree
from dyncore.engine.plan._layers import (
    ActivationKind,
    FoldedExcitation,
    FoldedHead,
    FoldedLayer,
    FoldedPath,
    FoldedStem,
    activate,
)
from dyncore.engine.plan._plan import BlockPlan, Plan, plan

__all__ = [
    "ActivationKind",
    "BlockPlan",
    "FoldedExcitation",
    "FoldedHead",
    "FoldedLayer",
    "FoldedPath",
    "FoldedStem",
    "Plan",
    "activate",
    "agree",
    "plan",
]
