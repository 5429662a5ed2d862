"""Every recipe of every installed package."""

import json
import re

import pytest
import torch

from dyncore.gating import config_to_dict
from dyncore.network import DynamicNetwork
from dyncore.objectives import ExecutionRateConfig
from dyncore.parts import RegistryError, decode, part_config, registered
from dyncore.recipes import BENCHMARKS, _installed, find_recipe, recipes
from dyncore.registry import list_methods, model_config

RECIPES = recipes()


@pytest.fixture(params=RECIPES.values(), ids=RECIPES.keys(), scope="module")
def recipe(request):
    return request.param


def parse(recipe) -> re.Match[str]:
    """``<method>-<backbone without -cifar>[-nN]-<dataset>[-bBUDGET][-VARIANT][-SETUP]``."""
    model = re.sub(r"-cifar(?=-n\d+$|$)", "", recipe.model)
    dataset = next(name for name, data in BENCHMARKS.items() if data.dataset == recipe.dataset)
    pattern = (
        rf"{model}-{dataset}(-b(?P<budget>[01](\.\d+)?))?"
        r"(-(?P<variant>(?!short|tuned|finetuned)[a-z][a-z0-9.-]*?))?"
        r"(-(?P<setup>short|tuned|finetuned))?"
    )
    match = re.fullmatch(pattern, recipe.name)
    assert match, f"{recipe.name} does not match {pattern}"
    return match


def test_name_follows_the_grammar(recipe):
    assert recipe is RECIPES[recipe.name]
    budget, setup = parse(recipe)["budget"], parse(recipe)["setup"]
    assert recipe.source.setup == (setup or "paper")
    targets = [
        part.target for part in recipe.objective.values() if isinstance(part, ExecutionRateConfig)
    ]
    assert [f"{target:g}" for target in targets] == ([budget] if targets else [])


def test_model_name_stands_for_the_network(recipe):
    assert recipe.model.split("-")[0] in list_methods()
    named = model_config(recipe.model, num_classes=recipe.network.num_classes)
    for field in ("backbone", "combine", "nested"):
        assert getattr(recipe.network, field) == getattr(named, field)
    assert recipe.network.granularity.paths == named.granularity.paths


def test_settings_come_back_from_json(recipe):
    saved = json.loads(json.dumps(config_to_dict(recipe)))
    assert decode(type(recipe.network), saved["network"], "network") == recipe.network
    assert {key: part_config("objectives", part) for key, part in saved["objective"].items()} == (
        recipe.objective
    )


def test_every_network_builds():
    for network in {recipe.network for recipe in RECIPES.values()}:
        with torch.device("meta"):
            model = DynamicNetwork(network)
        assert list(model.backbone.modules())[-1].out_features == network.num_classes
        assert bool(model.gates) == (network.gate is not None)


def test_methods_of_the_core_have_recipes():
    plain = {"static-resnet20-cifar10", "vanilla-resnet20-cifar10-b0.6"}
    assert plain | {f"{name}-short" for name in plain} <= RECIPES.keys()


def test_near_names_are_offered():
    with pytest.raises(ValueError, match=r"did you mean .*vanilla-resnet20-cifar10-b0\.6") as error:
        find_recipe("vanilla-resnet20-cifar10-b0.66")
    assert str(error.value).startswith("unknown recipe 'vanilla-resnet20-cifar10-b0.66'; ")
    assert str(error.value).endswith("'dyn list recipes' shows all")


def test_a_known_method_without_near_names():
    with pytest.raises(ValueError, match=r"^unknown recipe 'static-x'; 'dyn list recipes' shows"):
        find_recipe("static-x")


def test_a_missing_method_package_is_named(monkeypatch):
    for group in ("methods", "recipes"):
        monkeypatch.delitem(registered(group), "cdb", raising=False)
    with pytest.raises(ValueError, match=r"pip install dyn-cdb"):
        find_recipe("cdb-resnet50-n2-imagenet-b0.5")


def test_two_packages_with_one_recipe_are_named(monkeypatch):
    mine = {"static-resnet20-digits": RECIPES["static-resnet20-digits"]}
    packages = {"static": mine, "other": mine}
    monkeypatch.setattr(_installed, "registered", lambda group: packages)
    with pytest.raises(RegistryError, match=r"'static' and 'other'.*'static-resnet20-digits'"):
        recipes()
