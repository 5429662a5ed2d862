"""Every recipe stands for a row of CDB's tables, and can be built."""

import re

import pytest
import torch

from dyn_cdb.recipes import RECIPES
from dyncore import DynamicNetwork, cost_table
from dyncore.cli import main
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.objectives import CategoryLossConfig, ExecutionRateConfig, FlopsRatioConfig
from dyncore.recipes import SGD, Cosine, Steps
from dyncore.registry import model_config

TABLE_2 = {
    ("resnet50", 2): (0.4, 0.5, 0.6, 0.7),
    ("resnet50", 3): (0.7,),
    ("resnet50", 4): (0.7,),
    ("resnet101", 2): (0.3, 0.5, 0.7),
}
TABLE_3 = {("mobilenetv2", 2): (0.7, 0.8, 0.9), ("mobilenetv2-1.4", 2): (0.7, 0.8, 0.9)}
TABLE_4 = {("resnet50-cifar2", 2): (0.5, 0.7), ("resnet50-cifar2", 4): (0.7,)}
TABLE_5 = ("no-ca-no-cs", "no-cs", "no-ca", "ca-cs")


def rows() -> dict[str, str]:
    """The name of a recipe for each of the authors' rows, and its table."""
    found = {}
    for table, benchmark, models in (
        ("Table 2", "imagenet", TABLE_2),
        ("Table 3", "imagenet", TABLE_3),
        ("Table 4", "cifar100", TABLE_4),
    ):
        for (backbone, paths), targets in models.items():
            for r in targets:
                found[f"cdb-{backbone}-n{paths}-{benchmark}-b{r}"] = table
    return found | {f"cdb-resnet50-n2-imagenet-b0.7-{row}": "Table 5" for row in TABLE_5}


def test_every_row_has_a_recipe():
    printed = {
        name: recipe.source.place.partition(",")[0]
        for name, recipe in RECIPES.items()
        if recipe.source.paper == "CDB" and recipe.source.setup == "paper"
    }
    assert printed == rows()
    tuned = {name for name, recipe in RECIPES.items() if recipe.source.setup == "tuned"}
    assert tuned == {f"{name}-tuned" for name in printed}


def test_the_rest_are_small_and_ours():
    ours = {n: r for n, r in RECIPES.items() if n.removesuffix("-tuned") not in rows()}
    assert {recipe.source.paper for recipe in ours.values()} == {"ours"}
    models = {recipe.model for recipe in ours.values()}
    assert models == {"cdb-resnet20-cifar-n2", "cdb-resnet110-cifar-n2"}


@pytest.mark.parametrize("name", RECIPES)
def test_both_targets_are_the_budget(name):
    """Section 3.3: e = r in all experiments; the weights of all losses are 1."""
    recipe = RECIPES[name]
    budget = float(re.search(r"-b(0\.\d)", name)[1])
    assert recipe.name == name
    rate, flops = recipe.objective["rate"], recipe.objective["flops"]
    assert (rate.target, flops.target) == (budget, budget)
    if not name.endswith("-short"):  # whose budgets are looser
        reads = "noise-free" if "digits" in name or name.endswith("-tuned") else "training"
        assert rate == ExecutionRateConfig(target=budget, weight=1.0, reads=reads)
        assert flops == FlopsRatioConfig(target=budget, weight=1.0, reads=reads)
    assert recipe.source.place.endswith(f"target {budget}")


@pytest.mark.parametrize(
    ("row", "ca", "cs"),
    [
        ("-no-ca-no-cs", False, False),
        ("-no-cs", True, False),
        ("-no-ca", False, True),
        ("-ca-cs", True, True),
        ("", True, True),
    ],
)
def test_table_5_switches_context_and_supervision(row, ca, cs):
    recipe = RECIPES[f"cdb-resnet50-n2-imagenet-b0.7{row}"]
    assert recipe.network.router == ContextRouterConfig(dim=32, previous=ca)
    supervised = {"category": CategoryLossConfig(categories="imagenet-58", weight=1.0)}
    others = {key: part for key, part in recipe.objective.items() if key != "category"}
    assert others.keys() == {"classification", "rate", "flops"}
    assert recipe.objective == others | (supervised if cs else {})
    with torch.device("meta"):
        model = DynamicNetwork(recipe.network)
    history = [name for name in model.state_dict() if ".history." in name]
    assert len(history) == (2 * 15 if ca else 0)  # every controller but the first


def test_settings_are_those_of_section_4_1():
    heavy, light, cifar = (
        RECIPES[f"cdb-{name}"]
        for name in (
            "resnet101-n2-imagenet-b0.3",
            "mobilenetv2-n2-imagenet-b0.8",
            "resnet50-cifar2-n2-cifar100-b0.5",
        )
    )
    assert heavy.optimizer == SGD(learning_rate=0.1, nesterov=True, weight_decay=1e-4)
    assert light.optimizer == SGD(learning_rate=0.1, nesterov=True, weight_decay=4e-5)
    assert cifar.optimizer == SGD(learning_rate=0.1, nesterov=False, weight_decay=1e-4)
    assert {recipe.optimizer.momentum for recipe in (heavy, light, cifar)} == {0.9}
    assert {recipe.batch_size for recipe in (heavy, light, cifar)} == {256}
    lengths = [(len(r.phases), r.epochs, r.phases[0].schedule) for r in (heavy, light, cifar)]
    steps = Steps(milestones=(100.0, 150.0), gamma=0.1)
    assert lengths == [(1, 120, Cosine()), (1, 120, Cosine()), (1, 200, steps)]
    assert cifar.objective["category"].categories == "cifar100-superclasses"


def test_the_method_is_context_routers_and_gaussian_noise():
    config = model_config("cdb-resnet50-n2")
    assert config.router == ContextRouterConfig(dim=32, previous=True)
    assert config.gate == StraightThroughGateConfig(noise="gaussian", temperature=1.0)
    assert config.combine == "additive"


@pytest.mark.parametrize("model", sorted({recipe.model for recipe in RECIPES.values()}))
def test_recipes_train_the_model_of_their_name(model):
    for recipe in RECIPES.values():
        ours = recipe.source.setup != "paper" or "digits" in recipe.name
        if recipe.model == model and "-no-ca" not in recipe.name:
            named = model_config(model, num_classes=recipe.network.num_classes)
            assert (named == recipe.network) == (not ours)


@pytest.mark.parametrize("network", {recipe.network for recipe in RECIPES.values()})
def test_networks_build_on_the_meta_device(network):
    with torch.device("meta"):
        model = DynamicNetwork(network)
    gated = [block for block in model.backbone.blocks if block.gated]
    assert len(model.gates) == len(gated) >= 9


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("mobilenetv2-n2-imagenet", {0.7: 0.22, 0.8: 0.24, 0.9: 0.27}),
        ("mobilenetv2-1.4-n2-imagenet", {0.7: 0.42, 0.8: 0.47, 0.9: 0.52}),
    ],
)
def test_table_3_is_reached_at_its_targets(name, printed):
    """In GMACs of the whole network, whose gated groups execute at the rate r."""
    for budget, gflops in printed.items():
        with torch.device("meta"):
            model = DynamicNetwork(RECIPES[f"cdb-{name}-b{budget}"].network)
        table = cost_table(model, (3, 224, 224))
        assert (table.always + budget * table.gated) / 1e9 == pytest.approx(gflops, abs=0.015)


def test_the_list_shows_table_and_row(capsys):
    main(["list", "recipes", "cdb"])
    shown = capsys.readouterr().out
    for name, place in (
        ("cdb-resnet50-n4-imagenet-b0.7", "Table 2, CDB-50, N = 4, target 0.7"),
        ("cdb-resnet50-n2-imagenet-b0.7-no-ca", r"Table 5, CDB-50 \+ CS, N = 2, target 0.7"),
    ):
        assert re.search(f"^{name} +as printed +CDB +{place}", shown, re.MULTILINE)
