"""Every recipe stands for a printed row or point, and can be built."""

import re
from dataclasses import replace

import pytest
import torch

from dyn_rdinet import RankingConfig, RelationalRouterConfig
from dyn_rdinet.method import METHOD
from dyn_rdinet.recipes import BUDGETS, PRINTED_BUDGETS, RECIPES
from dyncore import DynamicNetwork, cost_table
from dyncore.backbones import backbone_config
from dyncore.gating import ShortRangeRouterConfig
from dyncore.objectives import ExecutionRateConfig
from dyncore.recipes import Recipe, Steps
from dyncore.registry import model_config

MODULES = r"vanilla|usw(-rr(-srm)?)?|rr-(gamma[\d.]+|auto|r\d)"
GRAMMAR = re.compile(
    r"rdinet-(?P<backbone>resnet\d+)-(?P<dataset>cifar10|cifar100|imagenet|digits)"
    rf"-b(?P<budget>0\.\d+)(-(?P<variant>{MODULES}|alpha[\d.]+))?(-tuned|-short)?"
)
CIFAR10 = "rdinet-resnet110-cifar10"


@pytest.mark.parametrize("name", RECIPES)
def test_name_says_what_is_trained(name):
    recipe = RECIPES[name]
    parts = GRAMMAR.fullmatch(name)
    assert parts is not None
    assert recipe.name == name
    assert recipe.model.removesuffix("-cifar") == f"rdinet-{parts['backbone']}"
    assert recipe.dataset.replace("imagenet-1k", "imagenet").endswith(parts["dataset"])
    as_printed = ExecutionRateConfig(target=float(parts["budget"]))
    assert recipe.objective["rate"].target == as_printed.target
    short = name.endswith("-short")
    ours = short or name.endswith("-tuned") or "digits" in name
    assert (recipe.objective["rate"] == as_printed) == (not ours)
    assert as_printed.reads == "training"
    rank = recipe.objective.get("rank", RankingConfig())
    printed = re.search(r"alpha([\d.]+)", name)
    assert rank.weight == (float(printed[1]) if printed else 0.3 if short else 0.2)


@pytest.mark.parametrize("backbone", METHOD.backbones)
def test_recipes_build_on_the_meta_device(backbone):
    built = set()
    for recipe in RECIPES.values():
        network = recipe.network
        if network.backbone != backbone_config(backbone) or network in built:
            continue
        built.add(network)
        with torch.device("meta"):
            model = DynamicNetwork(network)
        assert all(parameter.is_meta for parameter in model.parameters())
        assert len(model.routers) == len(model.backbone.blocks)
    assert built


def test_every_objective_builds():
    recipe = RECIPES[f"{CIFAR10}-b0.5"]
    with torch.device("meta"):
        model = DynamicNetwork(recipe.network)
    table = cost_table(model, (3, 32, 32))
    for config in {part for recipe in RECIPES.values() for part in recipe.objective.values()}:
        config.build(model, table)


@pytest.mark.parametrize(
    ("backbone", "size", "classes"),
    [
        ("resnet110-cifar", 32, 10),
        ("resnet110-cifar", 32, 100),
        ("resnet50", 224, 1000),
        ("resnet101", 224, 1000),
    ],
)
def test_budgets_reach_the_printed_gflops(backbone, size, classes):
    with torch.device("meta"):
        config = METHOD.configure(backbone_config(backbone), 1, classes)
        table = cost_table(DynamicNetwork(config), (3, size, size))
    for (name, gflops), budget in PRINTED_BUDGETS.items():
        if name == backbone:
            assert budget == round((gflops * 1e9 / 2 - table.always) / table.gated, 2)


def difference(recipe: Recipe) -> dict[str, object]:
    """What a recipe changes from the full method on the same network and data."""
    full = RECIPES[f"{CIFAR10}-b0.5"]
    if "cifar100" in recipe.name:
        full = RECIPES["rdinet-resnet110-cifar100-b0.5"]
    changed: dict[str, object] = {}
    if recipe.network != full.network:
        assert replace(recipe.network, router=full.network.router) == full.network
        changed["router"] = recipe.network.router
    if recipe.objective.get("rank") != full.objective["rank"]:
        changed["rank"] = recipe.objective.get("rank")
    if recipe.phases != full.phases:
        assert recipe.phases == full.phases[1:]
        changed["usw"] = False
    assert recipe.objective["classification"] == full.objective["classification"]
    assert set(recipe.objective) <= set(full.objective)
    for field in ("optimizer", "batch_size", "augmentation", "dataset"):
        assert getattr(recipe, field) == getattr(full, field)
    return changed


SHORT = {"router": ShortRangeRouterConfig(initial_weights="he")}


def router(**changed: object) -> RelationalRouterConfig:
    return RelationalRouterConfig(initial_weights="he", **changed)


NO_SRM: dict[str, object] = {"rank": None}
NO_USW: dict[str, object] = {"usw": False}
ABLATIONS: dict[str, dict[str, object]] = {
    # Table 2
    "cifar10-b0.58-vanilla": SHORT | NO_SRM | NO_USW,
    "cifar10-b0.54-usw": SHORT | NO_SRM,
    "cifar10-b0.6-usw-rr": NO_SRM,
    "cifar10-b0.48-usw-rr-srm": {},
    "cifar100-b0.56-vanilla": SHORT | NO_SRM | NO_USW,
    "cifar100-b0.52-usw": SHORT | NO_SRM,
    "cifar100-b0.58-usw-rr": NO_SRM,
    "cifar100-b0.5-usw-rr-srm": {},
    # Table 3
    "cifar10-b0.58-rr-gamma1": NO_SRM | NO_USW | {"router": router(decay=1.0)},
    "cifar10-b0.6-rr-gamma0.5": NO_SRM | NO_USW,
    "cifar10-b0.52-rr-gamma0.25": NO_SRM | NO_USW | {"router": router(decay=0.25)},
    "cifar10-b0.58-rr-gamma0": NO_SRM | NO_USW | {"router": router(decay=0.0)},
    "cifar10-b0.54-rr-auto": NO_SRM | NO_USW | {"router": router(edges="cosine")},
    # Figure 7(a)
    **{
        f"cifar10-b0.58-rr-r{r}": NO_SRM | NO_USW | {"router": router(history=r)}
        for r in (0, 1, 2, 3, 4, 5, 7, 8)
    },
    "cifar10-b0.58-rr-r6": NO_SRM | NO_USW,
    # Figure 7(b)
    **{
        f"cifar10-b0.5-alpha{alpha}": {"rank": RankingConfig(weight=alpha)}
        for alpha in (0.1, 0.3, 0.4, 0.5)
    },
    "cifar10-b0.5-alpha0.2": {},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_it_says_and_nothing_else(name):
    recipe = RECIPES[f"rdinet-resnet110-{name}"]
    assert difference(recipe) == ABLATIONS[name]
    assert recipe.source.paper == "RDI-Net"


def test_there_is_a_recipe_for_every_row_and_point():
    """Names that two recipes share would leave fewer."""
    sweeps = {name for name in RECIPES if name.rpartition("-b")[2] in map(str, BUDGETS)}
    short = {f"{name}-short" for name in sweeps if "resnet20-cifar" in name}
    quoted = {"resnet110-cifar100-b0.68", "resnet50-imagenet-b0.78", "resnet101-imagenet-b0.71"}
    ablations = {f"rdinet-resnet110-{name}" for name in ABLATIONS}
    assert len(sweeps) == 9 * len(BUDGETS)
    small = {name for name in sweeps if "resnet20-" in name}
    rows = (sweeps - small) | {f"rdinet-{name}" for name in quoted} | ablations
    assert set(RECIPES) == rows | {f"{name}-tuned" for name in rows} | small | short


def test_the_warm_up_trains_blocks_on_uniform_paths_before_the_schedule_starts():
    epochs = {"cifar10": (30, 320), "cifar100": (30, 320), "imagenet": (10, 90), "digits": (3, 30)}
    for backbone, benchmark in (
        ("resnet110", "cifar10"),
        ("resnet110", "cifar100"),
        ("resnet50", "imagenet"),
        ("resnet20", "digits"),
    ):
        recipe = RECIPES[f"rdinet-{backbone}-{benchmark}-b0.6"]
        warm_up, main = recipe.phases
        assert (warm_up.epochs, main.epochs) == epochs[benchmark]
        assert (warm_up.paths, main.paths) == ("uniform", "routed")
        assert warm_up.objective == ("classification",)
        assert main.objective is None
        assert warm_up.schedule.factor(0.0, warm_up.epochs) == 1.0
        assert warm_up.schedule.factor(warm_up.epochs, warm_up.epochs) == 1.0


@pytest.mark.parametrize("name", [f"{CIFAR10}-b0.6", "rdinet-resnet50-imagenet-b0.6"])
def test_full_recipes_train_the_model_of_their_name(name):
    recipe = RECIPES[name]
    classes = recipe.network.num_classes
    named = model_config(recipe.model, num_classes=classes)
    start = "torch" if "imagenet" in name else "he"  # as the authors' code has it
    router, gate = (replace(part, initial_weights=start) for part in (named.router, named.gate))
    assert replace(named, router=router, gate=gate) == recipe.network


def test_settings_are_the_papers():
    """Section 4.1; r at the peak of Figure 7(a); the rest as recorded in ``source.borrowed``."""
    recipe = RECIPES[f"{CIFAR10}-b0.5"]
    default, rank = RelationalRouterConfig(), RankingConfig()
    assert (default.dim, default.decay, default.history, default.edges) == (256, 0.5, 6, "decay")
    assert (rank.weight, rank.margin, rank.bins, rank.near_tie) == (0.2, 0.5, 32, 0.001)
    assert not rank.padding
    assert recipe.network.router == router()
    assert recipe.objective["rank"] == rank
    assert recipe.network.combine == "blend"
    assert recipe.batch_size == 256
    assert [phase.annealing for phase in recipe.phases] == [None, None]
    assert recipe.optimizer.router_learning_rate is None
    assert recipe.phases[1].schedule == Steps(milestones=(250.0, 300.0))
    for said in (
        "SP-Net section 4.1: phases.1.schedule.name",
        "the authors' code: network.router.norm = True",
        "phases.1.schedule.milestones = 250 300",
        "CDB section 4: augmentation.name = CropFlip",
    ):
        assert said in recipe.source.borrowed
    assert "SP-Net section 4.3: objective.rate.target" in RECIPES[f"{CIFAR10}-b0.6"].source.borrowed
