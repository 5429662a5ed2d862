"""Means behind a recipe's name."""

from dataclasses import fields

import pytest

from dyncore.gating import CodebookRouterConfig, GumbelSoftmaxGateConfig, StraightThroughGateConfig
from dyncore.objectives import FlopsRatioConfig
from dyncore.recipes import MEANS, find_recipe

BASE = "vanilla-resnet20-cifar10-b0.6"
STATIC = "static-resnet20-cifar10"
FOR_STATIC = {"finetuned", "taught"}


STARTS = {"initial_biases", "initial_bias"} & {f.name for f in fields(GumbelSoftmaxGateConfig())}


@pytest.mark.parametrize(
    "means",
    [
        pytest.param(name, marks=pytest.mark.skipif(name == "open" and not STARTS, reason="none"))
        for name in MEANS
    ],
)
def test_each_says_what_it_changes(means):
    base = find_recipe("vanilla-resnet20-cifar10-b0.6+hard" if means == "quiet" else BASE)
    recipe = find_recipe(f"{base.name}+{means}")
    assert recipe.name == f"{base.name}+{means}"
    assert recipe.source.setup == f"{base.source.setup}+{means}"
    assert len(recipe.source.changes) > len(base.source.changes)


@pytest.mark.parametrize("means", sorted(MEANS.keys() - FOR_STATIC))
def test_a_static_network_has_nothing_to_change(means):
    changed, static = find_recipe(f"{STATIC}+{means}"), find_recipe(STATIC)
    assert (changed.network, changed.objective) == (static.network, static.objective)
    assert changed.source.changes == static.source.changes


def test_they_add_up_in_the_order_of_the_name():
    recipe = find_recipe(f"{BASE}+finetuned+hard+quiet+shared+opening+calm+codebook4+random-first")
    assert isinstance(recipe.network.router, CodebookRouterConfig)
    assert recipe.network.router.size == 4
    gate = recipe.network.gate
    assert isinstance(gate, StraightThroughGateConfig)
    assert gate.noise == "none"
    assert recipe.objective.keys() == {"classification", "flops"}
    flops = recipe.objective["flops"]
    assert isinstance(flops, FlopsRatioConfig)
    assert flops.target == 0.6
    assert recipe.optimizer.router_learning_rate == recipe.optimizer.learning_rate / 4
    first, main = recipe.phases
    assert (first.paths, first.objective, main.opening) == ("uniform", ("classification",), 0.4)
    assert recipe.epochs == pytest.approx(4)
    assert first.epochs == pytest.approx(4 / 3)


def test_unknown_ones_are_named():
    with pytest.raises(ValueError, match=r"unknown means 'bold' behind a recipe; there are fine"):
        find_recipe(f"{BASE}+bold")
    with pytest.raises(ValueError, match=r"unknown recipe 'vanilla-resnet21'"):
        find_recipe("vanilla-resnet21+hard")
