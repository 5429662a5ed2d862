"""What we train otherwise than a paper: said, with its reason, in every recipe that it changes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from dyncore.recipes._recipe import Recipe


@dataclass(frozen=True)
class Change:
    """A function from recipe to recipe that writes into the source what it changed, and why.

    A recipe that has nothing to change comes back as it was.
    """

    why: str
    """The reason, or where it was measured."""
    edit: Callable[[Recipe], Recipe]
    """Sets fields; the name and the source are not its matter."""

    def __call__(self, recipe: Recipe) -> Recipe:
        edited = self.edit(recipe)
        found = differences(recipe, edited)
        if not found:
            return recipe
        entry = f"{', '.join(found)}: {self.why}"
        source = replace(recipe.source, changes=(*recipe.source.changes, entry))
        return replace(edited, source=source)


@dataclass(frozen=True)
class Variant:
    """Changes under a name: a function from recipe to recipe that adds it to the recipe's name."""

    name: str
    """What the recipe's name ends in, and its ``source.setup``."""
    changes: tuple[Change, ...]
    """In order; a later one may change what an earlier one has set."""

    def __call__(self, recipe: Recipe) -> Recipe:
        """Raises ValueError for a recipe that is a variant already."""
        if recipe.source.setup != "paper":
            raise ValueError(
                f"recipe {recipe.name!r} is the variant {recipe.source.setup!r} already: "
                f"make {self.name!r} from the recipe without a variant"
            )
        recipe = changed(recipe, *self.changes)
        source = replace(recipe.source, setup=self.name)
        return replace(recipe, name=f"{recipe.name}-{self.name}", source=source)


def changed(recipe: Recipe, *changes: Change) -> Recipe:
    """The recipe after all changes, under its own name."""
    for change in changes:
        recipe = change(recipe)
    return recipe


def differences(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """The settings that differ, as ``option = new (old)``; options as the command line has them.

    Names and sources are not compared. Reads ``batch_size = 64 (256)``, or
    ``objective.flops = FlopsRatioConfig(target=0.6, …) (None)`` for a part that was not there.
    """
    skipped = {"name", "source"}
    old, new = ({k: v for k, v in _inner(r).items() if k not in skipped} for r in (before, after))
    return tuple(_differences(old, new, ""))


def _differences(before: Any, after: Any, option: str) -> Iterator[str]:
    if before == after:
        return
    old, new = _inner(before), _inner(after)
    named = isinstance(before, dict) or old.keys() == new.keys()
    if type(before) is type(after) and old and new and named:
        for key in {**old, **new}:
            inner = f"{option}.{key}".removeprefix(".")
            yield from _differences(old.get(key), new.get(key), inner)
    else:
        yield f"{option} = {_shown(after)} ({_shown(before)})"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _inner(value: Any) -> Mapping[str, Any]:
    """What a value is made of, by name; empty: it is compared as a whole."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        return value
    if isinstance(value, tuple) and any(map(is_dataclass, value)):
        return dict(zip(map(str, range(len(value))), value, strict=True))
    return {}
