"""Every recipe stands for a row of DMNN's tables, and can be built."""

import re
from dataclasses import replace

import pytest
import torch

from dyn_dmnn.method import METHOD
from dyn_dmnn.recipes import RECIPES
from dyncore import DynamicNetwork
from dyncore.cli import main
from dyncore.cost import CostTable
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.objectives import (
    CategoryLossConfig,
    CrossEntropyConfig,
    ExecutionRateConfig,
    FlopsRatioConfig,
)
from dyncore.recipes import SGD, Cosine, Steps
from dyncore.registry import model_config

NO_COSTS = CostTable(input_size=(3, 8, 8), static=0, stem=0, head=0, blocks=())

PRINTED = {
    "Table 1": """
        resnet50-n2-imagenet-b0.4 resnet50-n2-imagenet-b0.5 resnet50-n2-imagenet-b0.6
        resnet50-n2-imagenet-b0.7 resnet50-n3-imagenet-b0.7 resnet50-n4-imagenet-b0.7
        resnet101-n2-imagenet-b0.3 resnet101-n2-imagenet-b0.5 resnet101-n2-imagenet-b0.7""",
    "Table 2": """
        mobilenetv2-n2-imagenet-b0.7 mobilenetv2-n2-imagenet-b0.8 mobilenetv2-n2-imagenet-b0.9
        mobilenetv2-1.4-n2-imagenet-b0.7 mobilenetv2-1.4-n2-imagenet-b0.8
        mobilenetv2-1.4-n2-imagenet-b0.9""",
    "Table 3": """
        resnet50-cifar2-n2-cifar100-b0.5 resnet50-cifar2-n2-cifar100-b0.7
        resnet50-cifar2-n4-cifar100-b0.7""",
    "Table 4": """
        resnet50-n2-imagenet-b0.7-no-prev-no-cat resnet50-n2-imagenet-b0.7-no-cat
        resnet50-n2-imagenet-b0.7-no-prev resnet50-n2-imagenet-b0.7-prev-cat""",
}
"""The authors' rows, read off the paper."""

GRAMMAR = re.compile(
    r"dmnn-(?P<backbone>.+?)-n(?P<paths>\d)-(?P<data>cifar10|cifar100|imagenet|digits)"
    r"-b(?P<budget>0\.\d)(-(no-prev-no-cat|no-prev|no-cat|prev-cat))?(-tuned|-short)?"
)


def test_every_row_has_a_recipe_and_the_rest_are_ours():
    rows = {f"dmnn-{name}": table for table, names in PRINTED.items() for name in names.split()}
    sources = {name: recipe.source for name, recipe in RECIPES.items()}
    printed = {
        name: source
        for name, source in sources.items()
        if (source.paper, source.setup) == ("DMNN", "paper")
    }
    assert {name: source.place.partition(",")[0] for name, source in printed.items()} == rows
    tuned = {name for name, source in sources.items() if source.setup == "tuned"}
    assert tuned == {f"{name}-tuned" for name in printed}
    ours = RECIPES.keys() - printed.keys() - tuned
    assert len(ours) == 28
    assert all("resnet20-n2" in name or "resnet110-n2" in name for name in ours)
    assert all(source.paper == "ours" for name, source in sources.items() if name in ours)


@pytest.mark.parametrize("name", RECIPES)
def test_name_says_what_is_trained(name):
    recipe, parts = RECIPES[name], GRAMMAR.fullmatch(name)
    assert parts is not None
    assert recipe.name == name
    assert recipe.model.removesuffix(f"-n{parts['paths']}") in {
        f"dmnn-{parts['backbone']}",
        f"dmnn-{parts['backbone']}-cifar",
    }
    assert recipe.network.granularity.paths == int(parts["paths"])
    assert recipe.dataset.replace("imagenet-1k", "imagenet").endswith(parts["data"])
    budget = float(parts["budget"])
    rate, flops = recipe.objective["rate"], recipe.objective["flops"]
    assert (rate.target, flops.target) == (budget, budget)
    if not name.endswith("-short"):  # whose budgets are looser
        reads = "noise-free" if "digits" in name or name.endswith("-tuned") else "training"
        assert rate == ExecutionRateConfig(target=budget, weight=1.0, reads=reads)
        assert flops == FlopsRatioConfig(target=budget, weight=1.0, reads=reads)
    assert recipe.objective["classification"] == CrossEntropyConfig()
    assert f"N = {parts['paths']}, target {budget}" in recipe.source.place


@pytest.mark.parametrize(
    ("variant", "previous", "category"),
    [
        ("", True, True),
        ("-prev-cat", True, True),
        ("-no-cat", True, False),
        ("-no-prev", False, True),
        ("-no-prev-no-cat", False, False),
    ],
)
def test_a_switch_changes_what_it_says_and_nothing_else(variant, previous, category):
    full = RECIPES["dmnn-resnet50-n2-imagenet-b0.7"]
    recipe = RECIPES[full.name + variant]
    objective = {key: part for key, part in full.objective.items() if category or key != "category"}
    expected = replace(
        full,
        name=full.name + variant,
        source=recipe.source,
        network=replace(full.network, router=ContextRouterConfig(previous=previous)),
        objective=objective,
    )
    assert recipe == expected
    table = recipe.source.place.partition(",")[0]
    assert table == ("Table 4" if variant else "Table 1")


def test_settings_are_those_of_section_4_1():
    imagenet = RECIPES["dmnn-resnet50-n2-imagenet-b0.5"]
    assert imagenet.optimizer == SGD(
        learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    mobile = RECIPES["dmnn-mobilenetv2-1.4-n2-imagenet-b0.9"]
    assert mobile.optimizer == replace(imagenet.optimizer, weight_decay=4e-5)
    for recipe in (imagenet, mobile):
        (phase,) = recipe.phases
        assert (phase.epochs, phase.schedule, recipe.batch_size) == (120, Cosine(), 256)
        assert recipe.augmentation.scale == (0.08, 1.0)
        assert recipe.augmentation.flip
        assert recipe.objective["category"] == CategoryLossConfig(categories="imagenet-58")
    cifar = RECIPES["dmnn-resnet50-cifar2-n4-cifar100-b0.7"]
    (phase,) = cifar.phases
    assert (phase.epochs, phase.schedule) == (200, Steps(milestones=(100.0, 150.0), gamma=0.1))
    assert (cifar.batch_size, cifar.augmentation.padding, cifar.augmentation.flip) == (256, 4, True)
    assert cifar.optimizer == SGD(learning_rate=0.1, momentum=0.9, weight_decay=1e-4)
    category = CategoryLossConfig(categories="cifar100-superclasses", weight=1.0)
    assert cifar.objective["category"] == category


def test_noise_fades_in_short_runs_and_the_temperature_stays():
    (phase,) = RECIPES["dmnn-resnet20-n2-cifar10-b0.6-short"].phases
    annealing = phase.annealing
    assert [annealing.noise(p) for p in (0.0, 0.5, 0.95)] == [1.0, 1.0, 0.0]
    assert [annealing.factor(p) for p in (0.0, 0.5, 0.95)] == [1.0, 1.0, 1.0]
    for name in ("resnet20", "resnet110"):
        assert RECIPES[f"dmnn-{name}-n2-cifar10-b0.6"].phases[0].annealing is None


@pytest.mark.parametrize("data", ["cifar10", "digits"])
def test_data_without_superclasses_has_its_classes_as_categories(data):
    recipe = RECIPES[f"dmnn-resnet20-n2-{data}-b0.6"]
    assert recipe.objective["category"] == CategoryLossConfig(categories="classes")


def test_every_network_builds_on_the_meta_device_and_with_it_every_objective():
    built = set()
    for recipe in RECIPES.values():
        if (recipe.network, *recipe.objective.values()) in built:
            continue
        built.add((recipe.network, *recipe.objective.values()))
        with torch.device("meta"):
            model = DynamicNetwork(recipe.network)
        assert all(parameter.is_meta for parameter in model.parameters())
        for part in recipe.objective.values():
            if isinstance(part, CategoryLossConfig):
                part.build(model, NO_COSTS)
    assert len({network for network, *_ in built}) == 25


@pytest.mark.parametrize("name", [name for name in RECIPES if "-no-prev" not in name])
def test_recipes_train_the_model_of_their_name(name):
    recipe = RECIPES[name]
    classes = recipe.network.num_classes
    ours = recipe.source.setup != "paper" or "digits" in name
    assert (model_config(recipe.model, num_classes=classes) == recipe.network) == (not ours)


def test_the_method_is_context_routers_and_gumbel_noise():
    config = model_config("dmnn-resnet50-n3")
    assert config.router == ContextRouterConfig(dim=32, previous=True)
    assert config.gate == StraightThroughGateConfig(noise="gumbel", temperature=1.0)
    assert config.combine == "additive"
    assert set(METHOD.paths) == {2, 3, 4}


def test_the_list_shows_table_and_row(capsys):
    main(["list", "recipes", "dmnn"])
    shown = capsys.readouterr().out
    for recipe in RECIPES.values():
        assert re.search(
            rf"^{re.escape(recipe.name)} .*{re.escape(recipe.source.place)}", shown, re.M
        )
