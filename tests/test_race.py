"""The race trains the short recipes of all methods, at one budget."""

import importlib
import sys
from pathlib import Path

import pytest

from dyncore.recipes import find_recipe
from dyncore.registry import list_methods

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def race(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("race")
    del sys.modules["race"]


def test_every_method_starts_with_its_short_recipe(race):
    routed = sorted({*list_methods()} - {"nested"})  # which has one path for every image
    assert sorted(name.partition("-")[0] for name in race.RECIPES) == routed
    assert {find_recipe(name).source.setup for name in race.RECIPES} == {"short"}
    assert len({find_recipe(name).batch_size for name in race.RECIPES}) == 1


def test_another_budget_is_in_the_name_and_in_every_target(race):
    recipe = find_recipe("dmnn-resnet20-n2-cifar10-b0.6-short")
    other = race.at_budget(recipe, 0.75)
    assert other.name == "dmnn-resnet20-n2-cifar10-b0.75-short"
    targets = {key: part.target for key, part in other.objective.items() if hasattr(part, "target")}
    assert targets == {"rate": 0.75, "flops": 0.75}
    static = find_recipe("static-resnet20-cifar10-short")
    assert race.at_budget(static, 0.75) is static
