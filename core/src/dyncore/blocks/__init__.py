"""The residual block: shortcut, paths, and how decisions meet them."""

from dyncore.blocks._activation import (
    Activation,
    does_nothing,
    identity,
    rectifies,
    rectifies_to_six,
    swishes_hard,
)
from dyncore.blocks._block import (
    Combine,
    FusedForm,
    GatedBlock,
    PadShortcut,
    PathBuilder,
    ProjectionShortcut,
    mean_over_places,
)
from dyncore.blocks._path import Layer, Norm, Path
from dyncore.blocks._split import Granularity, bottleneck_width, even_width

__all__ = [
    "Activation",
    "Combine",
    "FusedForm",
    "GatedBlock",
    "Granularity",
    "Layer",
    "Norm",
    "PadShortcut",
    "Path",
    "PathBuilder",
    "ProjectionShortcut",
    "bottleneck_width",
    "does_nothing",
    "even_width",
    "identity",
    "mean_over_places",
    "rectifies",
    "rectifies_to_six",
    "swishes_hard",
]
