"""Every recipe stands for a printed row or point, and can be built."""

import re
from dataclasses import replace

import pytest
import torch

from dyn_spnet import EvolutionConfig, SlowProgress, SlowProgressConfig, TwinConfig
from dyn_spnet.method import METHOD
from dyn_spnet.recipes import BUDGETS, RECIPES
from dyncore import DynamicNetwork, cost_table
from dyncore.backbones import backbone_config
from dyncore.gating import config_to_dict
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig
from dyncore.parts import decode
from dyncore.recipes import Steps
from dyncore.registry import model_config

GRAMMAR = re.compile(
    r"spnet-(?P<backbone>resnet\d+)-(?P<dataset>cifar10|cifar100|imagenet|digits)"
    r"-b(?P<budget>0\.\d)"
    r"(-(?P<variant>baseline|a|ab|abc|m0\.\d|evolution-(blocks|resolution|stages)))?(-short)?"
)
FULL = {m: SlowProgressConfig(twin=TwinConfig(momentum=m)) for m in (0.5, 0.6, 0.7, 0.8)}


@pytest.mark.parametrize("name", RECIPES)
def test_name_says_what_is_trained(name):
    recipe = RECIPES[name]
    parts = GRAMMAR.fullmatch(name)
    assert parts is not None
    assert recipe.name == name
    assert recipe.model.removesuffix("-cifar") == f"spnet-{parts['backbone']}"
    assert recipe.dataset.replace("imagenet-1k", "imagenet").endswith(parts["dataset"])
    assert recipe.objective["classification"] == CrossEntropyConfig()
    as_printed = ExecutionRateConfig(target=float(parts["budget"]))
    assert recipe.objective["rate"].target == as_printed.target
    assert recipe.objective["rate"] == as_printed or name.endswith("-short")
    assert ("progress" in recipe.objective) == (parts["variant"] != "baseline")
    if "progress" in recipe.objective:
        light = "digits" in name or name.endswith("-short")
        assert recipe.objective["progress"].exits_weight == (0.2 if light else 1)


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


def test_every_objective_builds_and_a_twin_has_the_topology_of_its_student():
    with torch.device("meta"):
        model = DynamicNetwork(RECIPES["spnet-resnet20-cifar10-b0.6"].network)
        table = cost_table(model, (3, 32, 32))
        configs = {part for recipe in RECIPES.values() for part in recipe.objective.values()}
        parts = [config.build(model, table) for config in configs]
    slow = [part for part in parts if isinstance(part, SlowProgress)]
    assert len(slow) == 11
    for part in slow:
        student = [*model.parameters(), *part.exits.parameters()]
        assert [p.shape for p in part.twin.parameters()] == [p.shape for p in student]


ABLATIONS: dict[str, tuple[SlowProgressConfig | None, str]] = {
    **{
        f"{data}-b0.8-{variant}": (replace(FULL[m], **changes), place)
        for data, m in (("cifar10", 0.7), ("cifar100", 0.6))
        for variant, changes, place in (
            ("a", {"exits": False, "evolution": None}, "Table 3, EXP-1"),
            ("ab", {"evolution": None}, "Table 3, EXP-2"),
            ("abc", {}, "Table 3, EXP-3"),
        )
    },
    **{
        f"{data}-b0.8-m{m}": (FULL[m], f"Table 4, EXP-{row}")
        for data in ("cifar10", "cifar100")
        for row, m in ((1, 0.5), (2, 0.6), (3, 0.7), (4, 0.8))
    },
    **{
        f"{data}-b0.8-evolution-{strategy}": (
            replace(FULL[0.7], evolution=EvolutionConfig(strategy=strategy)),
            f"Table 5, EXP-{row}",
        )
        for data in ("cifar10", "cifar100")
        for row, strategy in ((1, "blocks"), (2, "resolution"), (3, "stages"))
    },
    "cifar10-b0.8-baseline": (None, "Table 3, Baseline; Figure 4, cifar10, t = 0.8"),
    "cifar100-b0.8-baseline": (None, "Table 3, Baseline; Figure 4, cifar100, t = 0.8"),
    "cifar10-b0.8": (FULL[0.7], "Table 1, SP-Net; Figure 4, cifar10, t = 0.8"),
    "cifar10-b0.2": (FULL[0.7], "Table 1, SP-Net (light); Figure 4, cifar10, t = 0.2"),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_a_row_changes_what_it_says_and_nothing_else(name):
    progress, place = ABLATIONS[name]
    recipe = RECIPES[f"spnet-resnet110-{name}"]
    assert recipe.objective.get("progress") == progress
    assert (recipe.source.paper, recipe.source.place) == ("SP-Net", place)
    full = RECIPES[f"spnet-resnet110-{name.partition('-')[0]}-b0.4"]
    for field in ("network", "optimizer", "batch_size", "augmentation", "dataset", "phases"):
        assert getattr(recipe, field) == getattr(full, field)


def test_there_is_a_recipe_for_every_row_and_point():
    """Names that two recipes share would leave fewer."""
    sweeps = {
        f"spnet-{network}-b{t}{variant}"
        for t in BUDGETS
        for network, variant in (
            *(
                (network, variant)
                for network in ("resnet110-cifar10", "resnet110-cifar100", "resnet50-imagenet")
                for variant in ("", "-baseline")
            ),
            *(
                (network, "")
                for network in (
                    "resnet32-cifar10",
                    "resnet32-cifar100",
                    "resnet101-imagenet",
                    "resnet20-cifar10",
                    "resnet20-digits",
                )
            ),
        )
    }
    sweeps |= {f"{name}-short" for name in sweeps if "resnet20-cifar10" in name}
    assert BUDGETS == (0.2, 0.4, 0.6, 0.8, 0.9)
    assert set(RECIPES) == sweeps | {f"spnet-resnet110-{name}" for name in ABLATIONS}
    assert RECIPES["spnet-resnet50-imagenet-b0.8"].source.place.startswith("Table 2, SP-Net;")
    assert RECIPES["spnet-resnet50-imagenet-b0.6"].source.place.startswith("Table 2, SP-Net (l")


def test_settings_are_the_papers():
    """Section 4.1; the rest as recorded in ``source.borrowed``."""
    progress = SlowProgressConfig()
    assert (progress.twin.momentum, progress.evolution.strategy) == (0.7, "stages")
    assert (progress.twin.path_weight, progress.twin.logits_weight) == (1.0, 0.5)
    assert progress.evolution.weight == 1e-4
    for name, batch, epochs, milestones, momentum in (
        ("resnet110-cifar10", 256, 320, (150.0, 250.0), 0.7),
        ("resnet110-cifar100", 256, 320, (150.0, 250.0), 0.6),
        ("resnet50-imagenet", 128, 120, (30.0, 60.0, 90.0), 0.7),
    ):
        recipe = RECIPES[f"spnet-{name}-b0.8"]
        assert recipe.objective["progress"] == FULL[momentum]
        assert recipe.objective["rate"].weight == 1.0
        assert (recipe.batch_size, recipe.epochs) == (batch, epochs)
        assert [phase.schedule for phase in recipe.phases] == [Steps(milestones=milestones)]
        sgd = recipe.optimizer
        assert (sgd.learning_rate, sgd.momentum, sgd.weight_decay) == (0.1, 0.9, 1e-4)
        assert "augmentation: CDB section 4" in recipe.source.borrowed


@pytest.mark.parametrize("name", ["resnet110-cifar10", "resnet50-imagenet"])
def test_recipes_train_the_vanilla_network(name):
    recipe = RECIPES[f"spnet-{name}-b0.6"]
    vanilla = recipe.model.replace("spnet", "vanilla")
    assert recipe.network == model_config(vanilla, num_classes=recipe.network.num_classes)


@pytest.mark.parametrize(
    "config",
    [
        SlowProgressConfig(),
        SlowProgressConfig(twin=None, evolution=EvolutionConfig(strategy="blocks", weight=0.5)),
        SlowProgressConfig(twin=TwinConfig(momentum=0.5), exits=False, evolution=None),
    ],
)
def test_configurations_come_back_from_json(config):
    data = config_to_dict(config)
    assert data.pop("name") == "slow-progress"
    assert decode(SlowProgressConfig, data, "slow-progress") == config
