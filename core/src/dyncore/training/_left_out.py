"""Parts of a recipe that options leave out, or bring back: tyro can do neither without subcommands.

``--phases.1.annealing None`` leaves a part out; ``--phases.1.annealing.start 8`` speaks of one that
may be left out by default, and is there then, as its fields' defaults make it.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from dyncore.recipes import Recipe, with_settings


def with_parts(recipe: Recipe, options: Sequence[str]) -> tuple[Recipe, list[str]]:
    """The recipe with the parts that the options want, and the options that are left to read.

    A part of the objective is left out by its key: ``--objective.rank None``. Raises ValueError
    where a recipe cannot be without.
    """
    rest: list[str] = []
    left = list(options)
    while left:
        given = left.pop(0)
        name, equals, value = given.partition("=")
        if not name.startswith("--"):
            rest.append(given)
            continue
        path = name[2:].replace("-", "_").split(".")
        for end in range(1, len(path)):
            if (missing := _optional(recipe, path[:end])) and missing[0] is None:
                recipe = with_settings(recipe, {".".join(path[:end]): missing[1]()})
        none_next = not equals and left[:1] == ["None"]
        if (none_next or value == "None") and _can_be_left_out(recipe, path):
            left = left[1:] if none_next else left
            recipe = _without(recipe, path)
        else:
            rest.append(given)
    return recipe, rest


def _can_be_left_out(recipe: Recipe, path: list[str]) -> bool:
    if path[:-1] == ["objective"]:
        return path[-1] in recipe.objective
    return _optional(recipe, path) is not None


def _without(recipe: Recipe, path: list[str]) -> Recipe:
    if path[:-1] != ["objective"]:
        return with_settings(recipe, {".".join(path): None})
    kept = {key: part for key, part in recipe.objective.items() if key != path[-1]}
    return with_settings(recipe, {"objective": kept})


def _optional(recipe: Recipe, path: list[str]) -> tuple[Any, type] | None:
    """Value and class of a field that holds a part or None; None for any other path."""
    owner: Any = recipe
    for name in path[:-1]:
        owner = _inner(owner, name)
    if not is_dataclass(owner) or path[-1] not in {field.name for field in fields(owner)}:
        return None
    kinds = get_args(get_type_hints(type(owner))[path[-1]])
    parts = [kind for kind in kinds if is_dataclass(kind)]
    if NoneType not in kinds or len(parts) != 1:
        return None
    return getattr(owner, path[-1]), parts[0]  # type: ignore[return-value]


def _inner(owner: Any, name: str) -> Any:
    if isinstance(owner, dict):
        return owner.get(name)
    if isinstance(owner, tuple):
        return owner[int(name)] if name.isdigit() and int(name) < len(owner) else None
    return getattr(owner, name, None) if is_dataclass(owner) else None
