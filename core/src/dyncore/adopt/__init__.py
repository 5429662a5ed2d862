"""Anybody's network made dynamic: traced, its residual branches found and gated."""

from dyncore.adopt._backbone import AdoptedBackbone, AdoptedConfig
from dyncore.adopt._listing import Adopted, Listed
from dyncore.adopt._make import make_dynamic
from dyncore.adopt._path import chain
from dyncore.adopt._segment import Segment
from dyncore.adopt._trace import AdoptError
from dyncore.weights import IMAGENET, PACKAGES, Library, LibraryNetwork, build_library

__all__ = [
    "IMAGENET",
    "PACKAGES",
    "AdoptError",
    "Adopted",
    "AdoptedBackbone",
    "AdoptedConfig",
    "Library",
    "LibraryNetwork",
    "Listed",
    "Segment",
    "build_library",
    "chain",
    "make_dynamic",
]
