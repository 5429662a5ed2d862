"""Anybody's network made dynamic: traced, its residual branches found and gated."""

from dyncore.adopt._backbone import AdoptedBackbone, AdoptedConfig
from dyncore.adopt._listing import Adopted, Listed
from dyncore.adopt._make import make_dynamic
from dyncore.adopt._opened import is_batch_norm
from dyncore.adopt._path import AdoptedPath, chain
from dyncore.adopt._segment import Segment, Step, Value
from dyncore.adopt._trace import AdoptError
from dyncore.weights import IMAGENET, PACKAGES, Library, LibraryNetwork, build_library

__all__ = [
    "IMAGENET",
    "PACKAGES",
    "AdoptError",
    "Adopted",
    "AdoptedBackbone",
    "AdoptedConfig",
    "AdoptedPath",
    "Library",
    "LibraryNetwork",
    "Listed",
    "Segment",
    "Step",
    "Value",
    "build_library",
    "chain",
    "is_batch_norm",
    "make_dynamic",
]
