"""What people do to a model, and what becomes of it: rows from the tests that hold them.

A row is a ``situation`` of ``core/tests/compatibility/conftest.py``; it is read from the source of
the tests, which are not run.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from page_markdown import table

TESTS = Path(__file__).parents[1] / "core" / "tests" / "compatibility"


def situations(source: str) -> Iterator[tuple[str, str | None]]:
    """What people do, and the message with which it is refused (None: it works), in order."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "situation":
            (said,) = map(ast.literal_eval, node.args)
            options = {option.arg: ast.literal_eval(option.value) for option in node.keywords}
            yield said, options.get("refused")


def section(file: Path) -> str:
    """The rows of one module of tests under its docstring."""
    source = file.read_text(encoding="utf-8")
    heading, _, why = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    rows = [
        (said, "works" if message is None else "refused", "" if message is None else f"`{message}`")
        for said, message in situations(source)
    ]
    paragraphs = [f"## {heading.rstrip('.')}", why, table(("situation", "", "message"), rows)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def compatibility() -> str:
    """A section per module of tests that has situations."""
    files = sorted(TESTS.glob("test_*.py"))
    return "\n\n".join(
        section(file) for file in files if any(situations(file.read_text(encoding="utf-8")))
    )
