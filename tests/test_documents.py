"""Recipes that documents tell people to train are there."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dyncore.recipes import recipes

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("*/*/README.md"),
    ]
)
COMMAND = re.compile(r"(?:dyn train|train\.py)\s+([a-z]+-[a-z0-9.-]*[a-z0-9])")


def of_the_outside_example() -> set[str]:
    """Recipes of the package that only its own tests install."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples" / "convnet_aig" / "src"))
        found = set(import_module("dyn_convnet_aig.recipes").RECIPES)
    for name in [name for name in sys.modules if name.startswith("dyn_convnet_aig")]:
        del sys.modules[name]
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_recipes_of_commands_exist(document):
    named = set(COMMAND.findall(document.read_text(encoding="utf-8")))
    assert named - recipes().keys() - of_the_outside_example() == set()


def test_commands_are_found():
    found = [COMMAND.findall(document.read_text(encoding="utf-8")) for document in DOCUMENTS]
    assert sum(map(len, found)) > 10
