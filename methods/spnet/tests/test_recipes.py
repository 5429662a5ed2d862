"""Every recipe stands for a printed row or point, and can be built."""

import re
from dataclasses import replace

import pytest
import torch

from dyn_spnet import EvolutionConfig, SlowProgress, SlowProgressConfig, TwinConfig, recipes
from dyn_spnet.method import METHOD
from dyn_spnet.recipes import BUDGETS, PRINTED_BUDGETS, RECIPES
from dyncore import DynamicNetwork, cost_table
from dyncore.backbones import backbone_config
from dyncore.gating import config_to_dict
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig
from dyncore.parts import decode
from dyncore.recipes import Steps
from dyncore.registry import model_config

GRAMMAR = re.compile(
    r"spnet-(?P<backbone>resnet\d+)-(?P<dataset>cifar10|cifar100|imagenet|digits)"
    r"-b(?P<budget>0\.\d\d?)"
    r"(-(?P<variant>baseline|a|ab|abc|m0\.\d|evolution-(blocks|resolution|stages)))?(-printed-t)?"
    r"(-tuned|-short)?"
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
    ours = name.endswith(("-short", "-tuned")) or "digits" in name
    assert (recipe.objective["rate"] == as_printed) == (not ours)
    assert as_printed.reads == "training"
    assert ("progress" in recipe.objective) == (parts["variant"] != "baseline")
    if "progress" in recipe.objective:
        light = name.endswith("-short")
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


CIFAR10, CIFAR100 = FULL[0.7], FULL[0.6]
ABLATIONS: dict[str, tuple[SlowProgressConfig | None, str]] = {
    # Table 1
    "cifar10-b0.89": (CIFAR10, "Table 1, SP-Net: 0.46 GMACCs"),
    "cifar10-b0.24": (CIFAR10, "Table 1, SP-Net (light): 0.13 GMACCs"),
    # Figure 4, where the text has a cost
    "cifar10-b0.26": (CIFAR10, "Figure 4, cifar10, t = 0.2: 0.14 GMACCs"),
    "cifar10-b0.2-printed-t": (CIFAR10, "Figure 4, cifar10, t = 0.2"),
    "cifar10-b0.2-baseline": (None, "Figure 4, cifar10, t = 0.2: 0.11 GMACCs"),
    "cifar10-b0.4": (CIFAR10, "Figure 4, cifar10, t = 0.4: 0.21 GMACCs"),
    "cifar10-b0.36-baseline": (None, "Figure 4, cifar10, t = 0.4: 0.19 GMACCs"),
    "cifar10-b0.4-baseline-printed-t": (None, "Figure 4, cifar10, t = 0.4"),
    "cifar100-b0.89": (CIFAR100, "Figure 4, cifar100, t = 0.8: 0.46 GMACCs"),
    "cifar100-b0.8-printed-t": (CIFAR100, "Figure 4, cifar100, t = 0.8"),
    "cifar100-b0.89-baseline": (
        None,
        "Table 3, Baseline; Figure 4, cifar100, t = 0.8: 0.46 GMACCs",
    ),
    "cifar100-b0.8-baseline-printed-t": (None, "Figure 4, cifar100, t = 0.8"),
    # Table 3
    "cifar10-b0.91-baseline": (None, "Table 3, Baseline: 0.47 GMACCs"),
    **{
        f"{data}-b{t}-{variant}": (replace(FULL[m], **changes), f"Table 3, {row}: {cost} GMACCs")
        for data, m, a, ab, abc in (
            ("cifar10", 0.7, (0.93, 0.48), (0.91, 0.47), (0.89, 0.46)),
            ("cifar100", 0.6, (0.91, 0.47), (0.89, 0.46), (0.89, 0.46)),
        )
        for variant, row, changes, (t, cost) in (
            ("a", "EXP-1", {"exits": False, "evolution": None}, a),
            ("ab", "EXP-2", {"evolution": None}, ab),
            ("abc", "EXP-3", {}, abc),
        )
    },
    # Table 4
    **{
        f"{data}-b{t}-m{m}": (FULL[m], f"Table 4, EXP-{row}: {cost} GMACCs")
        for data, column in (
            ("cifar10", ((0.91, 0.47), (0.89, 0.46), (0.89, 0.46), (0.91, 0.47))),
            ("cifar100", ((0.89, 0.46), (0.89, 0.46), (0.87, 0.45), (0.87, 0.45))),
        )
        for row, (m, (t, cost)) in enumerate(zip((0.5, 0.6, 0.7, 0.8), column, strict=True), 1)
    },
    # Table 5
    **{
        f"{data}-b{t}-evolution-{strategy}": (
            replace(FULL[0.7], evolution=EvolutionConfig(strategy=strategy)),
            f"Table 5, EXP-{row}: {cost} GMACCs",
        )
        for data, column in (
            ("cifar10", ((0.93, 0.48), (0.95, 0.49), (0.89, 0.46))),
            ("cifar100", ((0.97, 0.5), (0.95, 0.49), (0.89, 0.46))),
        )
        for row, (strategy, (t, cost)) in enumerate(
            zip(("blocks", "resolution", "stages"), column, strict=True), 1
        )
    },
}
"""Of ResNet-110: what a row trains, and where it stands."""


@pytest.mark.parametrize("name", ABLATIONS)
def test_a_row_changes_what_it_says_and_nothing_else(name):
    progress, place = ABLATIONS[name]
    recipe = RECIPES[f"spnet-resnet110-{name}"]
    assert recipe.objective.get("progress") == progress
    assert (recipe.source.paper, recipe.source.place) == ("SP-Net", place)
    full = RECIPES[f"spnet-resnet110-{name.partition('-')[0]}-b0.6"]
    for field in ("network", "optimizer", "batch_size", "augmentation", "dataset", "phases"):
        assert getattr(recipe, field) == getattr(full, field)


def test_there_is_a_recipe_for_every_row_and_point():
    """Names that two recipes share would leave fewer."""
    rows = {f"spnet-resnet110-{name}" for name in ABLATIONS}
    rows |= {f"spnet-resnet50-imagenet-b{t}" for t in (0.93, 0.69)}  # Table 2
    for network, texts in (
        ("resnet110-cifar10", (0.2, 0.4)),
        ("resnet110-cifar100", (0.8,)),
        ("resnet50-imagenet", ()),
    ):
        drawn = [t for t in BUDGETS if t not in texts]
        rows |= {f"spnet-{network}-b{t}{v}" for t in drawn for v in ("", "-baseline")}
    rows |= {
        f"spnet-{network}-b{t}"
        for network in ("resnet32-cifar10", "resnet32-cifar100", "resnet101-imagenet")
        for t in BUDGETS
    }
    small = {f"spnet-resnet20-{data}-b{t}" for data in ("cifar10", "digits") for t in BUDGETS}
    short = {f"{name}-short" for name in small if "cifar10" in name}
    assert BUDGETS == (0.2, 0.4, 0.6, 0.8, 0.9)
    assert set(RECIPES) == rows | {f"{name}-tuned" for name in rows} | small | short
    assert RECIPES["spnet-resnet50-imagenet-b0.93"].source.place == "Table 2, SP-Net: 7.24 GMACCs"
    light = RECIPES["spnet-resnet50-imagenet-b0.69"]
    assert light.source.place == "Table 2, SP-Net (light): 5.62 GMACCs"


@pytest.mark.parametrize(
    ("backbone", "size", "classes", "printed_static"),
    [
        ("resnet110-cifar", 32, 10, None),
        ("resnet110-cifar", 32, 100, None),
        ("resnet50", 224, 1000, 7.72),
    ],
)
def test_budgets_reach_the_printed_gmaccs(backbone, size, classes, printed_static):
    """As in RDI-Net; of a share of the printed ResNet-50, where ours costs more."""
    with torch.device("meta"):
        config = METHOD.configure(backbone_config(backbone), 1, classes)
        table = cost_table(DynamicNetwork(config), (3, size, size))
    ours = 1.0 if printed_static is None else table.static * 2e-9 / printed_static
    for (name, gmaccs), budget in PRINTED_BUDGETS.items():
        if name == backbone:
            macs = gmaccs * ours * 1e9 / 2
            assert budget == round((macs - table.always) / table.gated, 2)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_a_momentum_of_0_is_one(momentum):
    assert recipes._progress("cifar10", momentum).twin.momentum == momentum
    assert recipes._progress("cifar100").twin.momentum == 0.6


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
        recipe = RECIPES[f"spnet-{name}-b0.6"]
        assert recipe.objective["progress"] == FULL[momentum]
        assert recipe.objective["rate"].reads == "training"
        assert recipe.phases[0].annealing is None
        assert recipe.objective["rate"].weight == 1.0
        assert (recipe.batch_size, recipe.epochs) == (batch, epochs)
        assert [phase.schedule for phase in recipe.phases] == [Steps(milestones=milestones)]
        sgd = recipe.optimizer
        assert (sgd.learning_rate, sgd.momentum, sgd.weight_decay) == (0.1, 0.9, 1e-4)
        assert sgd.router_learning_rate is None
        for said in ("CDB section 4: augmentation.name", "RDI-Net, Eq. 5-8, without relations"):
            assert said in recipe.source.borrowed
        assert "the authors' code: network.router.norm = True" in recipe.source.borrowed


@pytest.mark.parametrize("name", ["resnet110-cifar10", "resnet50-imagenet"])
def test_recipes_train_the_vanilla_network(name):
    recipe = RECIPES[f"spnet-{name}-b0.6"]
    vanilla = recipe.model.replace("spnet", "vanilla")
    named = model_config(vanilla, num_classes=recipe.network.num_classes)
    start = "torch" if "imagenet" in name else "he"  # as the authors' code has it
    router = replace(named.router, initial_weights=start)
    gate = replace(named.gate, initial_weights=start, initial_biases=(0.1, 2.0))
    assert recipe.network == replace(named, router=router, gate=gate)


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
