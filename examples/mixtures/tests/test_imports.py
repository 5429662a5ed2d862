"""The package imports public names of dyncore and no other method: parts come by their names."""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dyn_mixtures

SOURCES = sorted(Path(dyn_mixtures.__file__).parent.rglob("*.py"))


def foreign(source: str) -> Iterator[str]:
    """Imports of what is neither the standard library's nor a public name of dyncore."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [
                ("." * node.level + (node.module or ""), alias.name) for alias in node.names
            ]
        else:
            continue
        for module, name in imported:
            root, *inner = module.split(".")
            if root in sys.stdlib_module_names and root != "importlib":
                continue
            public = root == "dyncore" and not any(part.startswith("_") for part in inner)
            if not public or (name and name not in importlib.import_module(module).__all__):
                yield f"{module}: {name}"


def test_nothing_is_imported_but_public_names_of_dyncore():
    assert SOURCES
    found = {file.name: list(foreign(file.read_text(encoding="utf-8"))) for file in SOURCES}
    assert found == {file.name: [] for file in SOURCES}


@pytest.mark.parametrize(
    "source",
    [
        "import dyn_dmnn",
        "from dyn_rdinet.router import RelationalRouterConfig",
        "def f():\n    import dyn_spnet.losses as losses",
        "from importlib import import_module",
        "from . import other",
        "from dyncore.parts._decode import decode",
        "from dyncore.parts import PACKAGES",
        "import torch",
    ],
)
def test_the_checker_sees(source):
    assert list(foreign(source))
