"""Routers, gates, decisions and execution paths."""

from dyncore.gating._codebook import CodebookRouter, CodebookRouterConfig
from dyncore.gating._config import PartConfig, config_to_dict
from dyncore.gating._decision import Choice, Decision, Relaxation
from dyncore.gating._deferred import Deferred
from dyncore.gating._execution_path import ExecutionPath
from dyncore.gating._frozen import BlindRouter, FrozenGate
from dyncore.gating._gate import Gate, GateConfig
from dyncore.gating._linear import InitialWeights, linear_layer
from dyncore.gating._plain import describes, does_more, is_plain
from dyncore.gating._pytree import register_result
from dyncore.gating._relu1_gate import ReLU1Gate, ReLU1GateConfig
from dyncore.gating._router import Router, RouterConfig
from dyncore.gating._routers import (
    ContextRouter,
    ContextRouterConfig,
    IdentityRouter,
    IdentityRouterConfig,
    ShortRangeRouter,
    ShortRangeRouterConfig,
)
from dyncore.gating._two_logit_gate import (
    GumbelSoftmaxGateConfig,
    StraightThroughGateConfig,
    TwoLogitGate,
)
from dyncore.gating._weights import Affine, GateWeights, RouterState, RouterWeights

__all__ = [
    "Affine",
    "BlindRouter",
    "Choice",
    "CodebookRouter",
    "CodebookRouterConfig",
    "ContextRouter",
    "ContextRouterConfig",
    "Decision",
    "Deferred",
    "ExecutionPath",
    "FrozenGate",
    "Gate",
    "GateConfig",
    "GateWeights",
    "GumbelSoftmaxGateConfig",
    "IdentityRouter",
    "IdentityRouterConfig",
    "InitialWeights",
    "PartConfig",
    "ReLU1Gate",
    "ReLU1GateConfig",
    "Relaxation",
    "Router",
    "RouterConfig",
    "RouterState",
    "RouterWeights",
    "ShortRangeRouter",
    "ShortRangeRouterConfig",
    "StraightThroughGateConfig",
    "TwoLogitGate",
    "config_to_dict",
    "describes",
    "does_more",
    "is_plain",
    "linear_layer",
    "register_result",
]
