"""``dyn show``: a recipe beside the print."""

from collections.abc import Sequence

from dyncore.cli._remembered import remembered

MARKS = {"printed": "=", "borrowed": "~", "changed": "≠", "nowhere": "?"}
COLOURS = {"printed": "green", "borrowed": "default", "changed": "yellow", "nowhere": "red"}
LEGEND = "= as printed   ~ not printed, borrowed   ≠ changed by us   ? said nowhere"


def run(arguments: Sequence[str]) -> None:
    """``dyn show RECIPE``: every setting, what is printed or borrowed, where it stands."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: dyn show RECIPE\n\n{run.__doc__}\n{LEGEND}")
        return
    if len(arguments) != 1:
        raise ValueError("name one recipe: dyn show RECIPE; 'dyn list recipes' shows them")
    (name,) = arguments
    _print(name, *remembered(f"print of {name}", lambda: _compared(name)))


def _compared(name: str) -> list[list[list[str]]]:
    """The recipe's source, and its settings row by row."""
    from dyncore.recipes import find_print, find_recipe, settings, shown

    recipe, printed = find_recipe(name), find_print(name)
    source = recipe.source
    head = [["paper", source.paper], ["place", source.place], ["model", recipe.model]]
    head += [["data", recipe.dataset], ["set-up", source.setup]]
    if printed is None:
        rows = [["", key, shown(value), "", ""] for key, value in settings(recipe).items()]
    else:
        rows = [
            [row.origin, row.option, shown(row.value), shown(row.stated), row.place]
            for row in printed.compare(recipe)
        ]
    return [head, rows]


def _print(name: str, head: list[list[str]], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(f"[bold]{name}[/]: " + escape("; ".join(f"{key} {value}" for key, value in head)))
    table = Table("", "option", "recipe", "print", "where it stands, or why not", box=None)
    for origin, *cells in rows:
        style = COLOURS.get(origin)
        table.add_row(MARKS.get(origin, ""), *map(escape, cells), style=style)
    console.print(table)
    console.print(LEGEND)
