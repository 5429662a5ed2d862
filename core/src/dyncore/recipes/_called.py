"""A class of torch with its arguments, in one word: ``AdamW(lr=3e-4, betas=(0.9, 0.95))``."""

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple


class Called(NamedTuple):
    """What is to be called, and with what."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        words = (f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({', '.join(words)})"


def read_call(text: str, example: str) -> Called:
    """``AdamW`` or ``AdamW(lr=3e-4)``: arguments by name, their values written out.

    Raises ValueError, with the ``example``, for anything else; nothing of it is run.
    """
    problem = f"{text!r} names no class of torch with its arguments: write {example}"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        function = tree.func if isinstance(tree, ast.Call) else tree
        keywords = tree.keywords if isinstance(tree, ast.Call) else []
        if not isinstance(function, ast.Name) or (isinstance(tree, ast.Call) and tree.args):
            raise ValueError
        arguments = {word.arg or "**": ast.literal_eval(word.value) for word in keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(problem) from None
    if "**" in arguments:
        raise ValueError(problem)
    return Called(function.id, arguments)


def check_known(name: str, known: Mapping[str, Any], what: str) -> None:
    """Raise ValueError, with those that there are, for a name that is none of them."""
    if name not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}, not {name!r}")
