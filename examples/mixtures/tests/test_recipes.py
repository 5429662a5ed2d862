"""A mixture is DMNN's recipe with the parts that its variant names, and nothing else."""

from dataclasses import replace

import pytest

from dyn_mixtures.recipes import RECIPES
from dyncore import create_model
from dyncore.gating import config_to_dict
from dyncore.recipes import find_recipe, recipes

PLAIN = (
    "dmnn-resnet20-n2-digits-b0.6",
    "dmnn-resnet20-n2-cifar10-b0.6",
    "dmnn-resnet50-n2-imagenet-b0.7",
)
SETUPS = (*((plain, "") for plain in PLAIN), ("dmnn-resnet20-n2-cifar10-b0.6", "-short"))
VARIANTS = ("relational", "relational-slow-progress")


def test_both_mixtures_are_installed_for_every_setup():
    names = {f"{plain}-{variant}{setup}" for plain, setup in SETUPS for variant in VARIANTS}
    assert RECIPES.keys() == names
    assert names <= recipes().keys()
    assert all(recipe.source.paper == "ours" for recipe in RECIPES.values())


@pytest.mark.parametrize(("plain", "setup"), SETUPS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_rest_is_the_recipe_of_dmnn(plain, setup, variant):
    dmnn, mixture = find_recipe(f"{plain}{setup}"), find_recipe(f"{plain}-{variant}{setup}")
    assert (mixture.source.setup, mixture.source.changes) == (
        *(dmnn.source.setup, dmnn.source.changes),
    )
    objective = dict(mixture.objective)
    if variant == "relational-slow-progress":
        added = objective.pop("progress")
        assert added.name == "slow-progress"
        assert added == type(added)(twin=replace(added.twin, path_weight=0.1))
        assert (added.twin.momentum, added.twin.logits_weight) == (0.7, 0.5)
    network = replace(mixture.network, router=dmnn.network.router)
    same = replace(
        mixture, name=dmnn.name, source=dmnn.source, network=network, objective=objective
    )
    assert same == dmnn


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_is_made_of_the_parts_named(name):
    network = config_to_dict(RECIPES[name].network)
    router = network["router"]
    assert (router["name"], router["dim"], router["history"], router["decay"]) == (
        *("relational", 32, 6, 0.5),
    )
    assert (network["gate"]["name"], network["gate"]["noise"]) == ("straight-through", "gumbel")
    assert (network["granularity"]["paths"], network["combine"]) == (2, "additive")


@pytest.mark.parametrize("name", RECIPES)
def test_create_model_builds_the_network_from_names(name):
    recipe = RECIPES[name]
    model = create_model(
        recipe.model,
        num_classes=recipe.network.num_classes,
        router={"name": "relational", "dim": 32},
    )
    own = recipe.network.router
    alike = {name: getattr(own, name) for name in ("initial_weights", "norm")}  # as DMNN's
    router = replace(model.config.router, **alike)
    assert replace(model.config, router=router, gate=recipe.network.gate) == recipe.network
    assert type(model.config.gate) is type(recipe.network.gate)


@pytest.mark.parametrize("name", RECIPES)
def test_the_objective_is_dmnns_with_slow_progress_where_it_is_named(name):
    parts = [config.name for config in RECIPES[name].objective.values()]
    expected = ["cross-entropy", "execution-rate", "flops-ratio", "category"]
    assert parts == expected + ["slow-progress"] * ("slow-progress" in name)
