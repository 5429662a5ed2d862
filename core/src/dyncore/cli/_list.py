"""``dyn list``."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dyncore.recipes import Source, recipes
from dyncore.registry import list_methods, list_models

KINDS = ("methods", "models", "recipes")


def run_list(arguments: Sequence[str]) -> None:
    """``dyn list [methods|models|recipes] [PREFIX]``: names that start with PREFIX."""
    kind = arguments[0] if arguments else "methods"
    if kind in ("-h", "--help"):
        print("usage: dyn list [methods|models|recipes] [PREFIX]")
        return
    if kind not in KINDS or len(arguments) > 2:
        raise ValueError(f"dyn list takes one of {', '.join(KINDS)} and a prefix, not {arguments}")
    prefix = arguments[1] if len(arguments) > 1 else ""
    if kind == "recipes":
        _print_recipes(prefix)
        return
    names = list_methods() if kind == "methods" else list_models()
    for name in names:
        if name.startswith(prefix):
            print(name)


def _print_recipes(prefix: str) -> None:
    table = Table("recipe", "paper", "set-up", "table and row", box=None, pad_edge=False)
    for name, recipe in recipes().items():
        if name.startswith(prefix):
            source = recipe.source
            table.add_row(name, source.paper, _setup(source), escape(source.place))
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)


def _setup(source: Source) -> str:
    """Whose settings a recipe has; how many of them we changed, where its name does not say so."""
    count = len(source.changes)
    if source.setup != "paper" or not count:
        return source.setup
    return f"{source.setup}, {count} change{'s' if count > 1 else ''}"
