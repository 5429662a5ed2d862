"""``dyn list``."""

from collections.abc import Sequence

from dyncore.cli._remembered import remembered

KINDS = ("methods", "models", "recipes")


def run(arguments: Sequence[str]) -> None:
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
    for name in remembered(kind, lambda: _names(kind)):
        if name.startswith(prefix):
            print(name)


def _names(kind: str) -> list[str]:
    from dyncore.registry import list_methods, list_models

    return list_methods() if kind == "methods" else list_models()


def _rows() -> list[list[str]]:
    """Name, paper, set-up and place of every recipe."""
    from dyncore.recipes import recipes

    sources = {name: recipe.source for name, recipe in recipes().items()}
    return [
        [name, source.paper, _setup(source.setup, len(source.changes)), source.place]
        for name, source in sources.items()
    ]


def _setup(setup: str, changes: int) -> str:
    """Whose settings a recipe has; how many of them we changed, where its name does not say so."""
    if setup != "paper" or not changes:
        return setup
    return f"{setup}, {changes} change{'s' if changes > 1 else ''}"


def _print_recipes(prefix: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("recipe", "paper", "set-up", "table and row", box=None, pad_edge=False)
    for name, paper, setup, place in remembered("recipes", _rows):
        if name.startswith(prefix):
            table.add_row(name, paper, setup, escape(place))
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)
