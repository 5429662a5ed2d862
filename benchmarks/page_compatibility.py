"""What people do to a model, and what becomes of it: rows from the tests that hold them.

A row is a mark ``situation`` (``core/tests/conftest.py`` says what it holds); it is read from the
source of the tests, which are not run. Those in ``core/tests/compatibility`` come first.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from page_markdown import table

ROOT = Path(__file__).parents[1]
FIRST = "core/tests/compatibility/test_*.py"
ALL = (FIRST, "core/tests/*/test_*.py", "examples/*/tests/test_*.py", "tests/test_*.py")


class Situation(NamedTuple):
    """A row of the page."""

    said: str
    """What people do."""
    refused: str | None
    """The message that they get; None: it works."""
    under: str | None
    """The heading, if it is another one than the module's."""


def situations(source: str) -> Iterator[Situation]:
    """The rows of a module of tests, in order."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "situation":
            (said,) = map(ast.literal_eval, node.args)
            options = {option.arg: ast.literal_eval(option.value) for option in node.keywords}
            yield Situation(said, options.get("refused"), options.get("under"))


def headed(source: str) -> tuple[str, str]:
    """What stands over a module's rows: its docstring's first line, and the rest of it."""
    heading, _, why = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    return heading.rstrip("."), why


def compatibility() -> str:
    """A section per heading, in the order of the modules."""
    sources = [
        file.read_text(encoding="utf-8")
        for file in dict.fromkeys(file for where in ALL for file in sorted(ROOT.glob(where)))
    ]
    known = {heading: why for heading, why in map(headed, sources) if why}
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for source in sources:
        for said, message, under in situations(source):
            works = ("works", "") if message is None else ("refused", f"`{message}`")
            rows.setdefault(under or headed(source)[0], []).append((said, *works))
    sections = (
        [f"## {heading}", known.get(heading, ""), table(("situation", "", "message"), found)]
        for heading, found in rows.items()
    )
    return "\n\n".join(part for section in sections for part in section if part)
