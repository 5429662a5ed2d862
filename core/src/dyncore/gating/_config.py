"""The common form of everything that is found by name."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class PartConfig(ABC):
    """Configuration of a part that a package registers: backbone, router, gate, objective part.

    ``name`` is the part's name in its entry-point group; it stands in ``config.json``.
    """

    name: ClassVar[str]
    when_absent: ClassVar[Mapping[str, Any]] = {}
    """What a saved model means by not having a field, where that is not the field's default: the
    field is younger than the model, or its default is."""


def config_to_dict(config: Any) -> Any:
    """A configuration as JSON types; each part carries its name."""
    if is_dataclass(config):
        named = {"name": config.name} if isinstance(config, PartConfig) else {}
        return named | {f.name: config_to_dict(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, dict):
        return {key: config_to_dict(value) for key, value in config.items()}
    if isinstance(config, (tuple, list)):
        return [config_to_dict(value) for value in config]
    return config
