"""Routers, gates, decisions and execution paths."""

from dyncore.gating._config import PartConfig, config_to_dict
from dyncore.gating._decision import Choice, Decision, Relaxation
from dyncore.gating._execution_path import ExecutionPath
from dyncore.gating._frozen import BlindRouter, FrozenGate
from dyncore.gating._gate import Gate, GateConfig
from dyncore.gating._gates import (
    GumbelSoftmaxGateConfig,
    ReLU1Gate,
    ReLU1GateConfig,
    StraightThroughGateConfig,
    TwoLogitGate,
)
from dyncore.gating._lean import Affine, LeanGate, LeanRouter
from dyncore.gating._linear import he_linear
from dyncore.gating._router import Evaluation, Router, RouterConfig, RouterState
from dyncore.gating._routers import (
    ContextRouter,
    ContextRouterConfig,
    IdentityRouter,
    IdentityRouterConfig,
    ShortRangeRouter,
    ShortRangeRouterConfig,
)

__all__ = [
    "Affine",
    "BlindRouter",
    "Choice",
    "ContextRouter",
    "ContextRouterConfig",
    "Decision",
    "Evaluation",
    "ExecutionPath",
    "FrozenGate",
    "Gate",
    "GateConfig",
    "GumbelSoftmaxGateConfig",
    "IdentityRouter",
    "IdentityRouterConfig",
    "LeanGate",
    "LeanRouter",
    "PartConfig",
    "ReLU1Gate",
    "ReLU1GateConfig",
    "Relaxation",
    "Router",
    "RouterConfig",
    "RouterState",
    "ShortRangeRouter",
    "ShortRangeRouterConfig",
    "StraightThroughGateConfig",
    "TwoLogitGate",
    "config_to_dict",
    "he_linear",
]
