"""The residual block: shortcut, paths, and how decisions meet them."""

from dyncore.blocks._activation import Activation, identity, relu, relu6
from dyncore.blocks._block import Combine, GatedBlock, PadShortcut, PathBuilder
from dyncore.blocks._path import Layer, Path
from dyncore.blocks._pool import pool
from dyncore.blocks._split import Granularity, bottleneck_width, even_width

__all__ = [
    "Activation",
    "Combine",
    "GatedBlock",
    "Granularity",
    "Layer",
    "PadShortcut",
    "Path",
    "PathBuilder",
    "bottleneck_width",
    "even_width",
    "identity",
    "pool",
    "relu",
    "relu6",
]
