"""Networks that run only the blocks, paths or channels that an image needs."""

from importlib.metadata import version

from dyncore.cost import CostTable, Profile, cost_table
from dyncore.data import DataFileError
from dyncore.engine import Engine
from dyncore.gating import Decision, ExecutionPath
from dyncore.hub import HubError, ModelFileError
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo, Output, run_skipped
from dyncore.registry import (
    Method,
    RegistryError,
    create_model,
    from_pretrained,
    list_methods,
    list_models,
    transforms,
)

__version__ = version("dyncore")

__all__ = [
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
