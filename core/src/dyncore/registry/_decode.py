"""Configurations from JSON: strict, with parts found by name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import cattrs
from cattrs.errors import ClassValidationError

from dyncore.backbones import BackboneConfig
from dyncore.gating import GateConfig, PartConfig, RouterConfig
from dyncore.registry._entry_points import registered, unknown

Config = TypeVar("Config")


def _exact(*accepted: type) -> Any:
    """A hook that takes a JSON value of one of these types as it is, and nothing else."""

    def structure(value: Any, target: type) -> Any:
        if type(value) not in accepted:
            raise ValueError(f"expected {target.__name__}, not {value!r}")
        return target(value)

    return structure


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _exact(int))
    converter.register_structure_hook(float, _exact(int, float))
    converter.register_structure_hook(str, _exact(str))
    converter.register_structure_hook(bool, _exact(bool))
    return converter


_CONVERTER = _converter()


def register_parts(base: type[PartConfig], group: str) -> None:
    """Let fields of type ``base`` be read as the part of ``group`` that the JSON names."""
    _CONVERTER.register_structure_hook_func(
        lambda target: target is base, lambda data, _: part_config(group, data)
    )


def part_config(group: str, data: Any) -> Any:
    """The configuration of a part from ``{"name": …, field: value, …}``.

    Raises ValueError that names the part, the field and the known ones.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise ValueError(f"{group[:-1]} must be an object with a 'name', not {data!r}")
    options = dict(data)
    name = options.pop("name")
    parts = registered(group)
    if name not in parts:
        raise unknown(group, name)
    known = [field.name for field in fields(parts[name])]
    for option in options:
        if option not in known:
            raise ValueError(
                f"{group[:-1]} {name!r} has no field {option!r}; its fields are "
                f"{', '.join(known) or 'none'}"
            )
    return decode(parts[name], options, f"{group[:-1]} {name!r}")


def decode(config: type[Config], data: Any, what: str) -> Config:
    """``data``, made of JSON types, as a configuration of the given class.

    Raises ValueError, starting with ``what``, that names the field.
    """
    try:
        return _CONVERTER.structure(data, config)
    except ClassValidationError as error:
        problems = "; ".join(cattrs.transform_error(error, path=config.__name__))
        raise ValueError(f"{what}: {problems}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{what}: {error}") from error


register_parts(BackboneConfig, "backbones")
register_parts(RouterConfig, "routers")
register_parts(GateConfig, "gates")
