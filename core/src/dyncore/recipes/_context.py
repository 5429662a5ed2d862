"""The set-up of CDB and DMNN, which print the same one (their sections 3.3 and 4.1)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from dyncore.gating import ContextRouterConfig
from dyncore.objectives import (
    CategoryLossConfig,
    CrossEntropyConfig,
    ExecutionRateConfig,
    FlopsRatioConfig,
    ObjectiveConfig,
)
from dyncore.recipes._change import Change, Variant, changed
from dyncore.recipes._make import make_recipe
from dyncore.recipes._optimizer import SGD
from dyncore.recipes._phases import CONTEXT_PHASES
from dyncore.recipes._print import Print
from dyncore.recipes._recipe import Recipe, Source
from dyncore.recipes._settings import with_settings
from dyncore.recipes._variants import (
    HE_START,
    HELD,
    ON_DIGITS,
    SHORT_ANNEALING,
    annealed,
    short,
)
from dyncore.registry import Method

_CATEGORIES = {
    "cifar100": CategoryLossConfig(categories="cifar100-superclasses"),
    "imagenet": CategoryLossConfig(categories="imagenet-58"),
}
"""Other data sets have no superclasses and use their classes."""

_SHORT = (("resnet20-cifar", "cifar10"), ("resnet20-cifar", "cifar100"))
"""(backbone, benchmark) of networks that are also trained briefly."""
_SMALL = (
    *_SHORT,
    ("resnet20-cifar", "digits"),
    ("resnet110-cifar", "cifar10"),
    ("resnet110-cifar", "cifar100"),
)
"""(backbone, benchmark) of networks that are ours."""
_SMALL_BUDGETS = (0.4, 0.5, 0.6, 0.7)
"""The target rates of the 50-layer networks."""


class ContextRow(NamedTuple):
    """A row of the papers' tables."""

    table: str
    """Which table."""
    model: str
    """The row's name."""
    backbone: str
    """The network that it is built from."""
    benchmark: str
    """The data set."""
    paths: int
    """Number N of paths per block."""
    budget: float
    """Target rates e = r (on CIFAR-100 they are called t)."""
    previous: bool = True
    """Routers see the previous one's feature (CA, PREV)."""
    category: bool = True
    """Routers are taught categories (CS, CAT)."""
    variant: str = ""
    """Last part of the recipe's name."""


def context_optimizer(backbone: str, benchmark: str) -> SGD:
    """Nesterov on ImageNet, where MobileNetV2 has a smaller weight decay; plain momentum else."""
    if benchmark != "imagenet":
        return SGD()
    return SGD(nesterov=True, weight_decay=4e-5 if backbone.startswith("mobilenet") else 1e-4)


NORMED = Change(
    "without a norm early routers give all images nearly the same on-probabilities",
    lambda recipe: with_settings(recipe, {"network.router.norm": True}),
)

context_tuned = Variant("tuned", (HELD, HE_START, NORMED))
"""``tuned`` for straight-through gates, which keep their temperature and learning rate."""

context_short = Variant(
    "short",
    (
        *short.changes,
        NORMED,
        annealed(
            replace(SHORT_ANNEALING, start=1.0, end=1.0),
            "straight-through gates keep their temperature",
        ),
    ),
)
"""``short`` for straight-through gates."""


def context_recipes(
    method: Method, paper: str, rows: Iterable[ContextRow], *, printed: Print | None
) -> dict[str, Recipe]:
    """The recipes of a method with context routers, by name.

    Two for each row of its paper, as printed and tuned, and small ones that are ours: N = 2 on
    basic blocks. ``printed`` says what of their settings is borrowed, and from where.
    """

    def made(row: ContextRow, paper: str) -> Recipe:
        recipe = _recipe(method, row, paper)
        return recipe if printed is None else printed.credited(recipe)

    found = []
    for row in rows:
        as_printed = made(row, paper)
        found += [as_printed, context_tuned(as_printed)]
    place = f"{paper}'s set-up on a smaller network"
    for backbone, benchmark in _SMALL:
        for budget in _SMALL_BUDGETS:
            row = ContextRow(place, backbone, backbone, benchmark, 2, budget)
            recipe = made(row, "ours")
            on_digits = benchmark == "digits"
            found.append(changed(recipe, *ON_DIGITS, NORMED) if on_digits else recipe)
            if (backbone, benchmark) in _SHORT:
                found.append(context_short(recipe))
    return {recipe.name: recipe for recipe in found}


def _recipe(method: Method, row: ContextRow, paper: str) -> Recipe:
    """All losses weigh 1."""
    objective: dict[str, ObjectiveConfig] = {
        "classification": CrossEntropyConfig(),
        "rate": ExecutionRateConfig(target=row.budget),
        "flops": FlopsRatioConfig(target=row.budget),
    }
    if row.category:
        objective["category"] = _CATEGORIES.get(row.benchmark, CategoryLossConfig())
    return make_recipe(
        method,
        row.backbone,
        row.benchmark,
        source=Source(
            paper=paper,
            place=f"{row.table}, {row.model}, N = {row.paths}, target {row.budget}",
        ),
        objective=objective,
        phases=(CONTEXT_PHASES[row.benchmark],),
        optimizer=context_optimizer(row.backbone, row.benchmark),
        paths=row.paths,
        router=ContextRouterConfig(previous=row.previous),
        budget=row.budget,
        variant=row.variant,
    )
