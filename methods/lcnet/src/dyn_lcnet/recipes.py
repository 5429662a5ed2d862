"""LC-Net's training set-ups: one per trained model of Tables 1 and 2, and ours.

The paper holds no budget: recipes with one are ours. So are the variants ``l-only`` (no C-Net) and
``c-only`` (no L-Net), an ablation that it lacks, ``tuned`` and ``short``.
"""

from collections.abc import Iterator
from dataclasses import replace

from dyn_lcnet.losses import SalienceL1Config
from dyn_lcnet.method import METHOD
from dyn_lcnet.router import PooledNormRouterConfig
from dyncore.blocks import Granularity
from dyncore.gating import GateConfig, ReLU1GateConfig, RouterConfig
from dyncore.objectives import CrossEntropyConfig, FlopsRatioConfig, ObjectiveConfig
from dyncore.recipes import (
    SGD,
    SHORT_RUN,
    Change,
    Cosine,
    Phase,
    Print,
    Recipe,
    Source,
    Steps,
    Variant,
    changed,
    make_recipe,
    with_settings,
)

PRINT = Print.of("dyn_lcnet")

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


ALIVE = Change(
    "with biases of torch's, around 0, every second channel and block is off from the start",
    lambda recipe: with_settings(recipe, {"network.gate.initial_bias": 1.0}),
)
TUNED = Variant("tuned", (ALIVE,))

SHORT = Variant(
    "short",
    (
        *SHORT_RUN,
        Change(
            "in six epochs from scratch the paper's 0.01 is far too slow, and so is 0.01 for gates",
            lambda recipe: with_settings(
                recipe, {"optimizer.learning_rate": 0.1, "optimizer.router_learning_rate": 0.03}
            ),
        ),
        Change(
            "short runs miss the budget at weight 3",
            lambda recipe: with_settings(recipe, {"objective.flops.weight": 12.0}),
        ),
    ),
)

SWITCHES: dict[str, tuple[str, dict[str, object]]] = {
    "l-only": ("no C-Net", {"network.granularity": Granularity()}),
    "c-only": ("no L-Net", {"network.gate.blocks": False}),
}
"""Variant → what it leaves out, and how."""


def _recipe(
    backbone: str,
    benchmark: str,
    source: Source,
    parts: dict[str, ObjectiveConfig] | None = None,
    *,
    router: RouterConfig | None = None,
    gate: GateConfig | None = None,
    budget: float | None = None,
    variant: str = "",
    start: str | None = None,
) -> Recipe:
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=source,
        objective={"classification": CrossEntropyConfig(), **(parts or {})},
        phases=(PHASES[benchmark],),
        optimizer=OPTIMIZERS[benchmark],
        batch_size=BATCH_SIZES[benchmark],
        router=router,
        gate=gate,
        budget=budget,
        variant=variant,
    )
    return PRINT.credited(replace(recipe, start=start))


def _scratch(backbone: str, benchmark: str, place: str) -> Recipe:
    return _recipe(backbone, benchmark, Source(paper="LC-Net", place=place))


def _pretrained(backbone: str, benchmark: str, source: Source) -> Recipe:
    l1 = SalienceL1Config(weight=L1_WEIGHTS[benchmark])
    start = f"static-{backbone}"
    return _recipe(backbone, benchmark, source, {"l1": l1}, variant="pretrained", start=start)


def _budgeted(backbone: str, benchmark: str, budget: float) -> Recipe:
    return _recipe(
        backbone,
        benchmark,
        Source(paper="ours", place="LC-Net held to a budget"),
        {"flops": FlopsRatioConfig(target=budget, weight=FLOPS_WEIGHT, reads="noise-free")},
        router=PooledNormRouterConfig(),
        gate=ReLU1GateConfig(initial_bias=1.0),
        budget=budget,
    )


def _without(recipe: Recipe, variant: str) -> Recipe:
    absent, off = SWITCHES[variant]
    place = f"{recipe.name.removeprefix('lcnet-')}, {absent}"
    source = replace(recipe.source, paper="ours", place=place)
    named = replace(recipe, name=f"{recipe.name}-{variant}", source=source)
    return PRINT.credited(with_settings(named, off))


def _switched(recipe: Recipe) -> Iterator[Recipe]:
    yield recipe
    for variant in SWITCHES:
        yield _without(recipe, variant)


def _rows() -> Iterator[Recipe]:
    """Of the paper."""
    yield _scratch("resnet50", "imagenet", "Table 2, LC-Net: 2.89 GFLOPs")
    yield _scratch("resnet18-cifar", "cifar10", "Table 1, LC-Net: 0.33 GFLOPs")
    # One set of weights, read by two accountings.
    place = "Table 1, LC-Net pre-trained: 0.19 GFLOPs (parallel), 0.06 (sequential)"
    yield _pretrained("resnet18-cifar", "cifar10", Source(paper="LC-Net", place=place))


def _small() -> Iterator[Recipe]:
    """Ours."""
    yield _budgeted("resnet18-cifar", "cifar10", 0.5)
    yield _budgeted("resnet20-cifar", "digits", 0.6)
    source = Source(paper="ours", place="LC-Net pre-trained, on a small network")
    yield changed(_pretrained("resnet20-cifar", "digits", source), ALIVE)


def _recipes() -> Iterator[Recipe]:
    for recipe in _rows():
        yield recipe
        yield TUNED(recipe)
        if "cifar10" in recipe.name:
            yield from (_without(recipe, variant) for variant in SWITCHES)
    for recipe in _small():
        yield from _switched(recipe)
    for recipe in _switched(_budgeted("resnet20-cifar", "cifar10", 0.6)):
        yield recipe
        yield SHORT(recipe)


RECIPES = {recipe.name: recipe for recipe in _recipes()}
