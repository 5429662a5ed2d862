"""Weights of static networks as people have them: a library's, a file's, a model folder's."""

from dyncore.weights._library import (
    IMAGENET,
    PACKAGES,
    Library,
    LibraryNetwork,
    build_library,
    named_library,
)
from dyncore.weights._load import Weights, load_static
from dyncore.weights._source import check_weights

__all__ = [
    "IMAGENET",
    "PACKAGES",
    "Library",
    "LibraryNetwork",
    "Weights",
    "build_library",
    "check_weights",
    "load_static",
    "named_library",
]
