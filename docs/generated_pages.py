"""Pages of the site that are made from the code."""

import ast
from collections import defaultdict
from pathlib import Path

from dyncore.recipes import recipes

ROOMS = (
    *("gating", "blocks", "backbones", "parts", "network", "registry", "cost", "objectives"),
    *("cascade", "kernels", "engine", "recipes", "training", "campaigns", "report", "demo"),
    *("export", "data", "hub", "testing"),
)
"""In the order in which docs/architecture.md has them."""


def methods(folder: Path) -> dict[str, tuple[Path, str]]:
    """The README of every method package, and where it lies."""
    found = sorted(folder.glob("*/README.md"))
    return {file.parent.name: (file.parent, file.read_text(encoding="utf-8")) for file in found}


def recipe_list() -> str:
    """Every recipe of the installed packages, by method."""
    by_method = defaultdict(list)
    for name, recipe in recipes().items():
        by_method[recipe.model.partition("-")[0]].append((name, recipe.source))
    lines = ["# Recipes", "", f"`dyn list recipes` shows these {len(recipes())}.", ""]
    for method, rows in sorted(by_method.items()):
        lines += [f"## {method}", "", "| recipe | paper | set-up | table and row |"]
        lines.append("| --- | --- | --- | --- |")
        lines += [
            f"| `{name}` | {source.paper} | {source.setup} | {_cell(source.place)} |"
            for name, source in rows
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def api(core: Path) -> str:
    """The public names of every room."""
    lines = ["# API", "", "What a room exports is public; modules that begin with `_` are not.", ""]
    for room in ROOMS:
        tree = ast.parse((core / room / "__init__.py").read_text(encoding="utf-8"))
        said = (ast.get_docstring(tree) or "").partition("\n")[0]
        lines += [f"## dyncore.{room}", "", said, "", "```{eval-rst}"]
        lines += [f".. automodule:: dyncore.{room}", "   :members:", "   :imported-members:"]
        lines += ["   :no-index:", "   :exclude-members: __init__", "```", ""]
    return "\n".join(lines)
