"""The dynamic network and its two plain forms of running."""

from dyncore.network._config import DynamicConfig
from dyncore.network._info import FORMAT, ModelInfo
from dyncore.network._network import DynamicNetwork, run_skipped
from dyncore.network._output import Output
from dyncore.network._site import Site

__all__ = [
    "FORMAT",
    "DynamicConfig",
    "DynamicNetwork",
    "ModelInfo",
    "Output",
    "Site",
    "run_skipped",
]
