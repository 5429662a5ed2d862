"""What papers print of their training, beside what our recipes train."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any, Literal, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from dyncore.parts import decode
from dyncore.recipes._recipe import Recipe
from dyncore.recipes._settings import option, settings

FILE = "printed.toml"
"""Beside a package's ``recipes.py``."""

NOT_JUDGED = ("network.backbone.", "network.nested", "network.num_classes")
"""Whose sizes are the papers' tables' matter: compared only where a statement has them."""

Origin = Literal["printed", "borrowed", "changed", "nowhere"]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Settings that stand in one place, of some recipes; later ones win."""

    printed: str = ""
    """Where the recipe's own paper prints them."""
    borrowed: str = ""
    """Where else they come from: another paper, a public code, or ``ours``."""
    recipes: tuple[str, ...] = ("*",)
    """Patterns of recipes' names, one of which must fit; without a variant of ours."""
    values: dict[str, Any] = field(default_factory=dict)
    """Option → value, nested; ``{b}`` stands for the number after ``-b`` in the recipe's name."""

    def __post_init__(self) -> None:
        if bool(self.printed) == bool(self.borrowed):
            raise ValueError(f"a statement is either printed or borrowed: {self}")

    @property
    def place(self) -> str:
        """Where the values come from."""
        return self.printed or self.borrowed


Said: TypeAlias = tuple[Any, Statement]
"""A setting's value, and which statement has it."""


@dataclass(frozen=True)
class Compared:
    """A setting beside what is said of it."""

    option: str
    """As the command line has it."""
    value: Any
    """The recipe's; None: left out."""
    stated: Any
    """What is said; None: to be left out."""
    place: str
    """Where that stands, or why the recipe differs; empty: nowhere."""
    origin: Origin
    """``changed`` where the recipe differs, ``nowhere`` where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Print:
    """Where the settings of a package's recipes come from."""

    statements: tuple[Statement, ...]
    """From the general to the particular."""

    @classmethod
    def of(cls, package: str) -> "Print":
        """That of an importable package.

        Raises FileNotFoundError where it has none, and ValueError for a file that is wrong.
        """
        content = tomllib.loads((files(package) / FILE).read_text(encoding="utf-8"))
        return decode(cls, content, f"{package}: {FILE}")

    def stated(self, recipe: Recipe) -> dict[str, Said]:
        """Value and statement of every setting of which something is said."""
        name, setup = (text.partition("+")[0] for text in (recipe.name, recipe.source.setup))
        name = name.removesuffix(f"-{setup}")
        found: Any = {}
        for statement in self.statements:
            if any(fnmatchcase(name, pattern) for pattern in statement.recipes):
                found = _merged(found, statement.values, statement, name)
        return dict(_flat(found, ""))

    def compare(self, recipe: Recipe) -> list[Compared]:
        """Each setting beside what is said of it, in the order of the recipe."""
        stated, found = self.stated(recipe), settings(recipe)
        rows = []
        for key, value in found.items():
            if key in stated:
                said, statement = stated[key]
                rows.append(_compared(recipe, key, value, said, statement))
            elif value and not key.startswith(NOT_JUDGED):  # else it is left out, or off
                around = any(key.startswith(f"{other}.") for other in stated)
                origin: Origin = "changed" if around else "nowhere"
                rows.append(Compared(option(key, recipe), value, None, _why(recipe, key), origin))
        for key, (said, statement) in stated.items():
            inside = any(other.startswith(f"{key}.") for other in found)
            if key not in found and not inside:
                rows.append(_compared(recipe, key, None, said, statement))
        return rows

    def credited(self, recipe: Recipe) -> Recipe:
        """The recipe with a source that says what was borrowed from where."""
        places: dict[str, list[str]] = {}
        for row in self.compare(recipe):
            if row.origin == "borrowed":
                places.setdefault(row.place, []).append(f"{row.option} = {shown(row.value)}")
        borrowed = "; ".join(f"{place}: {', '.join(all)}" for place, all in places.items())
        return replace(recipe, source=replace(recipe.source, borrowed=borrowed))


def shown(value: Any) -> str:
    """A value as people type it."""
    if isinstance(value, tuple | list):
        return " ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _compared(recipe: Recipe, key: str, value: Any, said: Any, statement: Statement) -> Compared:
    if _plain(value) == said:
        origin: Origin = "printed" if statement.printed else "borrowed"
        return Compared(option(key, recipe), value, said, statement.place, origin)
    return Compared(option(key, recipe), value, said, _why(recipe, key), "changed")


def _why(recipe: Recipe, key: str) -> str:
    """The change in the recipe's source that names the setting, or a part of the recipe with it."""
    name = option(key, recipe)
    for change in reversed(recipe.source.changes):
        for changed in re.findall(r"(?:^|, )([\w.-]+) = ", change):
            if f"{name}.".startswith(f"{changed}.") or f"{changed}.".startswith(f"{name}."):
                return change.rpartition("): ")[2]
    return ""


def _merged(old: Any, new: Any, statement: Statement, name: str) -> Any:
    """What is said so far with what a statement adds: of another part nothing old stays."""
    if not isinstance(new, Mapping):
        return _resolved(new, name), statement
    kept = dict(old) if isinstance(old, dict) else {}
    if "name" in new and "name" in kept and kept["name"][0] != new["name"]:
        kept = {}
    return kept | {
        key: _merged(kept.get(key), value, statement, name) for key, value in new.items()
    }


def _flat(said: Mapping[str, Any], key: str) -> Iterator[tuple[str, Said]]:
    for name, value in said.items():
        inner = f"{key}.{name}".removeprefix(".")
        if isinstance(value, Mapping):
            yield from _flat(value, inner)
        else:
            yield inner, value


def _resolved(value: Any, name: str) -> Any:
    """What a statement's value is in the recipe of that name."""
    if isinstance(value, str) and value.startswith("{"):
        word = value.strip("{}")
        number = re.search(rf"-{word}(\d+\.?\d*)(?=-|$)", name)
        if number is None:
            raise ValueError(f"{FILE} asks for the number after -{word} in {name!r}: it has none")
        return float(number[1])
    return None if value == "None" else _plain(value)


def _plain(value: Any) -> Any:
    """Comparable whether it comes from a file or from a recipe."""
    return list(map(_plain, value)) if isinstance(value, tuple | list) else value
