"""A method: a named preset of parts."""

from collections.abc import Callable
from dataclasses import dataclass

from dyncore.backbones import BackboneConfig
from dyncore.network import DynamicConfig


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a method package registers under ``dyncore.methods``."""

    name: str
    """The name in front of its models' names."""
    configure: Callable[[BackboneConfig, int, int], DynamicConfig]
    """(backbone, number of paths, number of classes) → the network's configuration."""
    backbones: tuple[str, ...]
    """The backbones that ``list_models`` shows; any other can be asked for by name."""
    paths: tuple[int, ...] = (1,)
    """The numbers of paths that ``list_models`` shows; 1 has no ``-nN`` in the name."""
