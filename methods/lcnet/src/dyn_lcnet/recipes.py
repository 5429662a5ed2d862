"""LC-Net's training set-ups: one per trained model of Tables 1 and 2, and ours.

The paper holds no budget: recipes with one are ours. So are the variants ``l-only`` (no C-Net) and
``c-only`` (no L-Net), an ablation that it lacks, and ``short``.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from dyn_lcnet.losses import SalienceL1Config
from dyn_lcnet.method import METHOD
from dyn_lcnet.router import PooledNormRouterConfig
from dyncore.blocks import Granularity
from dyncore.gating import ReLU1GateConfig, RouterConfig
from dyncore.network import DynamicConfig
from dyncore.objectives import CrossEntropyConfig, FlopsRatioConfig, ObjectiveConfig
from dyncore.recipes import (
    SGD,
    SHORT_RUN,
    Change,
    Cosine,
    Phase,
    Recipe,
    Source,
    Steps,
    Variant,
    make_recipe,
)

PHASES = {
    "cifar10": Phase(name="train", epochs=270.0, schedule=Steps(milestones=(90.0, 180.0))),
    "imagenet": Phase(name="train", epochs=120.0, schedule=Steps(milestones=(30.0, 60.0, 90.0))),
    "digits": Phase(name="train", epochs=30.0, schedule=Cosine()),
}
"""Section 4.2; digits: ours."""

OPTIMIZERS = {
    "cifar10": SGD(learning_rate=0.01, nesterov=True, weight_decay=5e-4),
    "imagenet": SGD(
        learning_rate=0.005, router_learning_rate=1e-5, nesterov=True, weight_decay=5e-4
    ),
    "digits": SGD(learning_rate=0.05, nesterov=True, weight_decay=5e-4),
}
"""Section 4.2, where L-Net and C-Net have a rate of their own on ImageNet; digits: ours."""

BATCH_SIZES = {"cifar10": 96, "imagenet": 256, "digits": 96}
"""Section 4.2; digits: ours."""

L1_WEIGHTS = {"cifar10": 1e-4, "digits": 1e-3}
"""Weight of the L1 term, which is not printed: ours."""

FLOPS_WEIGHT = 3.0
"""Weight of the FLOPs loss: ours."""


def _firmer(recipe: Recipe) -> Recipe:
    flops = recipe.objective["flops"]
    assert isinstance(flops, FlopsRatioConfig)
    return replace(recipe, objective={**recipe.objective, "flops": replace(flops, weight=12.0)})


def _faster(recipe: Recipe) -> Recipe:
    optimizer = replace(recipe.optimizer, learning_rate=0.1, router_learning_rate=0.03)
    return replace(recipe, optimizer=optimizer)


SHORT = Variant(
    "short",
    (
        *SHORT_RUN,
        Change(
            "in six epochs from scratch the paper's 0.01 is far too slow, and so is 0.01 for gates",
            _faster,
        ),
        Change("short runs miss the budget at weight 3", _firmer),
    ),
)

NOT_PRINTED = "augmentation: CDB section 4; leak 0.01 and initial biases of 1: ours"
START = (
    "start: --init FOLDER, a trained static model; schedule, rate and batch: Table 1, LC-Net; "
    f"L1 weight, and that everything trains: ours; {NOT_PRINTED}"
)
HELD = f"pooled-norm router, FLOPs loss: ours; {NOT_PRINTED}"

SWITCHES: dict[str, tuple[str, Callable[[DynamicConfig], DynamicConfig]]] = {
    "l-only": ("no C-Net", lambda network: replace(network, granularity=Granularity())),
    "c-only": ("no L-Net", lambda network: replace(network, gate=ReLU1GateConfig(blocks=False))),
}
"""Variant → what it leaves out, and how."""


def _recipe(
    backbone: str,
    benchmark: str,
    source: Source,
    parts: dict[str, ObjectiveConfig] | None = None,
    *,
    router: RouterConfig | None = None,
    budget: float | None = None,
    variant: str = "",
) -> Recipe:
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=source,
        objective={"classification": CrossEntropyConfig(), **(parts or {})},
        phases=(PHASES[benchmark],),
        optimizer=OPTIMIZERS[benchmark],
        batch_size=BATCH_SIZES[benchmark],
        router=router,
        budget=budget,
        variant=variant,
    )


def _scratch(backbone: str, benchmark: str, place: str) -> Recipe:
    return _recipe(backbone, benchmark, Source(paper="LC-Net", place=place, borrowed=NOT_PRINTED))


def _pretrained(backbone: str, benchmark: str, source: Source) -> Recipe:
    l1 = SalienceL1Config(weight=L1_WEIGHTS[benchmark])
    return _recipe(backbone, benchmark, source, {"l1": l1}, variant="pretrained")


def _budgeted(backbone: str, benchmark: str, budget: float) -> Recipe:
    return _recipe(
        backbone,
        benchmark,
        Source(paper="ours", place="LC-Net held to a budget", borrowed=HELD),
        {"flops": FlopsRatioConfig(target=budget, weight=FLOPS_WEIGHT)},
        router=PooledNormRouterConfig(),
        budget=budget,
    )


def _without(recipe: Recipe, variant: str) -> Recipe:
    absent, change = SWITCHES[variant]
    place = f"{recipe.name.removeprefix('lcnet-')}, {absent}"
    return replace(
        recipe,
        name=f"{recipe.name}-{variant}",
        source=replace(recipe.source, paper="ours", place=place),
        network=change(recipe.network),
    )


def _switched(recipe: Recipe) -> Iterator[Recipe]:
    yield recipe
    for variant in SWITCHES:
        yield _without(recipe, variant)


def _recipes() -> Iterator[Recipe]:
    yield _scratch("resnet50", "imagenet", "Table 2, LC-Net: 2.89 GFLOPs")
    table_1 = (
        _scratch("resnet18-cifar", "cifar10", "Table 1, LC-Net: 0.33 GFLOPs"),
        _pretrained(
            "resnet18-cifar",
            "cifar10",
            Source(
                paper="LC-Net",
                # One set of weights, read by two accountings.
                place="Table 1, LC-Net pre-trained: 0.19 GFLOPs (parallel), 0.06 (sequential)",
                borrowed=START,
            ),
        ),
    )
    ours = (
        _budgeted("resnet18-cifar", "cifar10", 0.5),
        _budgeted("resnet20-cifar", "digits", 0.6),
        _pretrained(
            "resnet20-cifar",
            "digits",
            Source(paper="ours", place="LC-Net pre-trained, on a small network", borrowed=START),
        ),
    )
    for recipe in table_1 + ours:
        yield from _switched(recipe)
    for recipe in _switched(_budgeted("resnet20-cifar", "cifar10", 0.6)):
        yield recipe
        yield SHORT(recipe)


RECIPES = {recipe.name: recipe for recipe in _recipes()}
