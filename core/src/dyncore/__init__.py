"""Networks that run only the blocks, paths or channels that an image needs."""

from importlib.metadata import version

from dyncore.cascade import Cascade, from_pretrained
from dyncore.cost import CostTable, Profile, cost_table
from dyncore.data import DataFileError
from dyncore.engine import Engine
from dyncore.gating import Decision, ExecutionPath
from dyncore.hub import HubError, ModelFileError
from dyncore.network import (
    DynamicConfig,
    DynamicNetwork,
    ModelInfo,
    Output,
    run_skipped,
    transforms,
)
from dyncore.parts import RegistryError
from dyncore.registry import Method, create_model, list_methods, list_models

__version__ = version("dyncore")

__all__ = [
    "Cascade",
    "CostTable",
    "DataFileError",
    "Decision",
    "DynamicConfig",
    "DynamicNetwork",
    "Engine",
    "ExecutionPath",
    "HubError",
    "Method",
    "ModelFileError",
    "ModelInfo",
    "Output",
    "Profile",
    "RegistryError",
    "cost_table",
    "create_model",
    "from_pretrained",
    "list_methods",
    "list_models",
    "run_skipped",
    "transforms",
]
