"""``dyn list``."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dyncore.cli._remembered import remembered

if TYPE_CHECKING:
    from dyncore.recipes import Source

KINDS = ("methods", "models", "recipes")


JSON = "--json"
COLUMNS = ("recipe", "kind", "paper", "place")
USAGE = """usage: dyn list [methods|models|recipes] [PREFIX] [--json]

  dyn list recipes rdinet-resnet20

PREFIX: only names that begin so. --json: for programs.
"""


def run(arguments: Sequence[str]) -> None:
    """``dyn list [methods|models|recipes] [PREFIX]``: names that start with PREFIX."""
    as_json = JSON in arguments
    arguments = [argument for argument in arguments if argument != JSON]
    kind = arguments[0] if arguments else "methods"
    if kind in ("-h", "--help"):
        print(USAGE, end="")
        return
    if kind not in KINDS or len(arguments) > 2:
        raise ValueError(f"dyn list takes one of {', '.join(KINDS)} and a prefix, not {arguments}")
    prefix = arguments[1] if len(arguments) > 1 else ""
    if as_json:
        print(json.dumps(_described(kind, prefix), indent=2))
        return
    if kind == "recipes":
        _print_recipes(prefix)
        return
    for name in remembered(kind, lambda: _names(kind)):
        if name.startswith(prefix):
            print(name)


def _described(kind: str, prefix: str) -> list[Any]:
    if kind != "recipes":
        return [name for name in remembered(kind, lambda: _names(kind)) if name.startswith(prefix)]
    rows = [row for row in remembered("recipes", _rows) if row[0].startswith(prefix)]
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _names(kind: str) -> list[str]:
    from dyncore.registry import list_methods, list_models

    return list_methods() if kind == "methods" else list_models()


KIND_STYLES = {"as printed": "bold green", "tuned": "yellow", "short": "cyan"}
"""How the kinds of recipes look; others, which are ours, are plain."""


def _rows() -> list[list[str]]:
    """Name, kind, paper and place of every recipe."""
    from dyncore.recipes import recipes

    return [
        [name, _kind(recipe.source), recipe.source.paper, recipe.source.place]
        for name, recipe in recipes().items()
    ]


def _kind(source: "Source") -> str:
    """A paper's row as printed, a variant of ours, or a set-up of ours.

    ``ours, 5 changes``: on data that no paper has, with what we changed in the set-up.
    """
    if source.setup != "paper":
        return source.setup
    if source.paper != "ours":
        return "as printed"
    changes = len(source.changes)
    return f"ours, {changes} change{'s' if changes > 1 else ''}" if changes else "ours"


def _print_recipes(prefix: str) -> None:
    from collections import Counter

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("recipe", "kind", "paper", "table and row", box=None, pad_edge=False)
    counts: Counter[str] = Counter()
    for name, kind, paper, place in remembered("recipes", _rows):
        if name.startswith(prefix):
            style = KIND_STYLES.get(kind)
            table.add_row(name, kind, paper, escape(place), style=style)
            counts[kind.partition(",")[0]] += 1
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
    total = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    console.print(f"\n{counts.total()} recipes: {total}; 'dyn show RECIPE' compares with the print")
