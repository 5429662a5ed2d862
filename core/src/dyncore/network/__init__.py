"""The dynamic network: its two plain forms of running, and how it is saved and loaded."""

from dyncore.network._channels import converted_weight
from dyncore.network._config import DynamicConfig, Subnet
from dyncore.network._dial import Dial, DialSetting
from dyncore.network._divide import divide
from dyncore.network._exploring import Exploring
from dyncore.network._folder import read_layout, read_tensors
from dyncore.network._independent import check_independent
from dyncore.network._info import ModelInfo
from dyncore.network._layout import check_layout
from dyncore.network._nested import begins, start_subnets
from dyncore.network._network import DynamicNetwork, from_pretrained
from dyncore.network._output import FeatureMaps, Output
from dyncore.network._pretrained import load_weights
from dyncore.network._site import Site
from dyncore.network._skipping import run_skipped
from dyncore.network._transforms import transforms

__all__ = [
    "Dial",
    "DialSetting",
    "DynamicConfig",
    "DynamicNetwork",
    "Exploring",
    "FeatureMaps",
    "ModelInfo",
    "Output",
    "Site",
    "Subnet",
    "begins",
    "check_independent",
    "check_layout",
    "converted_weight",
    "divide",
    "from_pretrained",
    "load_weights",
    "read_layout",
    "read_tensors",
    "run_skipped",
    "start_subnets",
    "transforms",
]
