"""Configurations from JSON: strict, with parts found by name."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from dyncore.backbones import BackboneConfig
from dyncore.files import printable
from dyncore.gating import GateConfig, PartConfig, RouterConfig
from dyncore.parts._entry_points import look_up

Config = TypeVar("Config")


def _shown(value: Any) -> str:
    """A stranger's value, as short as a message needs it."""
    return printable(repr(value))


def _exact(*accepted: type) -> Any:
    """A hook that takes a JSON value of one of these types as it is, and nothing else."""

    def structure(value: Any, target: type) -> Any:
        if type(value) not in accepted:
            raise ValueError(f"expected {target.__name__}, not {_shown(value)}")
        return target(value)

    return structure


def _is_choice(target: Any) -> bool:
    return get_origin(target) is Literal


def _choice(value: Any, target: Any) -> Any:
    if value not in get_args(target):
        raise ValueError(
            f"expected one of {', '.join(map(repr, get_args(target)))}, not {_shown(value)}"
        )
    return value


def _is_list(target: Any) -> bool:
    return get_origin(target) is tuple and get_args(target)[1:] == (...,)


def _tuple(value: Any, target: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list, not {_shown(value)}")
    as_list: Any = list[get_args(target)[0]]  # type: ignore[misc]
    return tuple(_CONVERTER.structure(value, as_list))


def _object(config: type) -> Any:
    structure_fields: Any = make_dict_structure_fn(config, _CONVERTER)

    def structure(value: Any, target: type) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(
                f"expected an object with the fields of {config.__name__}, not {_shown(value)}"
            )
        return structure_fields(value, target)

    return structure


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _exact(int))
    converter.register_structure_hook(float, _exact(int, float))
    converter.register_structure_hook(str, _exact(str))
    converter.register_structure_hook(bool, _exact(bool))
    converter.register_structure_hook_func(_is_choice, _choice)
    converter.register_structure_hook_func(_is_list, _tuple)
    converter.register_structure_hook_factory(is_dataclass, _object)
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
        raise ValueError(f"{group[:-1]} must be an object with a 'name', not {_shown(data)}")
    options = dict(data)
    name = options.pop("name")
    return decode(look_up(group, name), options, f"{group[:-1]} {name!r}")


def as_saved(network: Any) -> Any:
    """A saved network's parts with the fields that they lack, as these were meant in it.

    See :attr:`dyncore.gating.PartConfig.when_absent`. What is no part stays as it is: decode() says
    what is wrong with it.
    """
    if not isinstance(network, Mapping):
        return network
    completed = dict(network)
    for group, key in (("backbones", "backbone"), ("routers", "router"), ("gates", "gate")):
        part = completed.get(key)
        if isinstance(part, Mapping) and isinstance(part.get("name"), str):
            completed[key] = {**look_up(group, part["name"]).when_absent, **part}
    return completed


def decode(config: type[Config], data: Any, what: str) -> Config:
    """``data``, made of JSON types, as a configuration of the given class.

    Raises ValueError, starting with ``what``, that names the field.
    """
    try:
        return _CONVERTER.structure(data, config)
    except ClassValidationError as error:
        problems = "; ".join(cattrs.transform_error(error, config.__name__, _reason))
        raise ValueError(f"{what}: {problems}") from error
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def _reason(error: BaseException, target: Any) -> str:
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, ForbiddenExtraKeysError):
        extra = ", ".join(map(_shown, sorted(error.extra_fields)[:8]))
        known = ", ".join(field.name for field in fields(error.cl))
        return f"no field {extra}; the fields are {known or 'none'}"
    return format_exception(error, target)


register_parts(BackboneConfig, "backbones")
register_parts(RouterConfig, "routers")
register_parts(GateConfig, "gates")
