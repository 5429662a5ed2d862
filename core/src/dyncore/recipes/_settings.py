"""A recipe's settings one by one."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from dyncore.data import CropFlip, RandomResizedCropFlip
from dyncore.gating import PartConfig
from dyncore.recipes._recipe import Recipe
from dyncore.recipes._schedule import Schedule

NOT_SETTINGS = frozenset({"name", "source", "model", "dataset"})
"""Fields of a recipe that say what it is."""


def settings(recipe: Recipe) -> dict[str, Any]:
    """``{"batch_size": 256, "network.router.name": "relational", …}``, as options have them.

    Phases stand under their names: ``phases.train.epochs``. A part has its name beside its fields.
    What is left out is None. Sequences are tuples.
    """
    phases = {phase.name: phase for phase in recipe.phases}
    content = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    kept = {name: value for name, value in content.items() if name not in NOT_SETTINGS}
    return dict(_leaves({**kept, "phases": phases}, ""))


def option(key: str, recipe: Recipe) -> str:
    """The command line's option for a key of :func:`settings`; phases have numbers there."""
    for number, phase in enumerate(recipe.phases):
        start = f"phases.{phase.name}"
        if f"{key}.".startswith(f"{start}."):
            return f"phases.{number}{key.removeprefix(start)}"
    return key


def with_settings(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with these values, by option; an option that it does not have is passed over."""
    for name, value in values.items():
        recipe = _replaced(recipe, name.split("."), value)
    return recipe


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value):
        if isinstance(value, PartConfig):
            yield _inner(key, "name"), value.name
        elif isinstance(value, Schedule | CropFlip | RandomResizedCropFlip):
            yield _inner(key, "name"), type(value).__name__
        for field in fields(value):
            if field.name != "name":  # a phase's, under which it stands
                yield from _leaves(getattr(value, field.name), _inner(key, field.name))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, _inner(key, name))
    else:
        yield key, value


def _inner(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _replaced(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    name, *rest = path
    if isinstance(value, dict):
        return {**value, name: _replaced(value[name], rest, new)} if name in value else value
    if isinstance(value, tuple):
        changed = [_replaced(v, rest, new) if str(i) == name else v for i, v in enumerate(value)]
        return tuple(changed)
    if is_dataclass(value) and name in {field.name for field in fields(value)}:
        inner = _replaced(getattr(value, name), rest, new)
        return replace(value, **{name: inner})  # type: ignore[type-var]
    return value
