"""Means to train routing well, which any recipe can take: ``RECIPE+MEANS+MEANS…``.

Each is a change that says its reason; together they are applied in the order of the name. What a
recipe has nothing of (a static network has no gates) leaves it as it is.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from dyncore.gating import (
    CodebookRouterConfig,
    GumbelSoftmaxGateConfig,
    StraightThroughGateConfig,
)
from dyncore.objectives import FlopsRatioConfig, FullPathConfig, ObjectiveConfig, TeacherConfig
from dyncore.recipes._change import Change, changed
from dyncore.recipes._recipe import Phase, Recipe
from dyncore.recipes._schedule import Constant
from dyncore.recipes._variants import finetuned, in_routed_phases, where_gated

OPEN_BIAS = 3.0
"""On-logit minus off-logit at which gates begin: on with probability 0.95."""
OPENING = 0.4
"""Share of a phase over which targets fall from 1."""
BUDGET_WEIGHT = 40.0
"""Of one budget for all blocks: with 10 a block less costs more than the budget gives back."""
ROUTER_RATE = 0.25
"""Routers' learning rate over the blocks'."""
BATCHES = 100
"""Training batches for new statistics of norms."""
RANDOM_SHARE = 1 / 3
"""Share of the epochs on random paths."""
BUDGETS = (0.3, 0.95)
"""Between which each batch's is drawn."""


def _routed(**values: Any) -> Callable[[Recipe], Recipe]:
    """Fields of the phases in which gates decide."""
    return where_gated(in_routed_phases(lambda phase: replace(phase, **values)))


def _network(**values: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, network=replace(recipe.network, **values))


def _with_part(key: str, part: ObjectiveConfig) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, objective={**recipe.objective, key: part})


def _open(recipe: Recipe) -> Recipe:
    gate = recipe.network.gate
    starts = {"initial_biases": (0.0, OPEN_BIAS), "initial_bias": 1.0}
    known = {field.name for field in fields(gate)} if gate is not None else set()
    values = {name: value for name, value in starts.items() if name in known}
    return _network(gate=replace(gate, **values))(recipe)  # type: ignore[type-var]


def _hard(recipe: Recipe) -> Recipe:
    gate = recipe.network.gate
    if not isinstance(gate, GumbelSoftmaxGateConfig):
        return recipe
    values = {field.name: getattr(gate, field.name) for field in fields(gate)}
    return _network(gate=StraightThroughGateConfig(**values))(recipe)


def _quiet(recipe: Recipe) -> Recipe:
    gate = recipe.network.gate
    if not isinstance(gate, StraightThroughGateConfig):
        return recipe
    return _network(gate=replace(gate, noise="none"))(recipe)


def _shared(recipe: Recipe) -> Recipe:
    """The target is that of the per-block rates, or of the MACs, whichever the recipe has."""
    targets = [recipe.objective[key] for key in ("flops", "rate") if key in recipe.objective]
    if not targets:
        return recipe
    budget = FlopsRatioConfig(target=targets[0].target, weight=BUDGET_WEIGHT, reads="noise-free")  # type: ignore[attr-defined]
    parts = {key: part for key, part in recipe.objective.items() if key not in ("rate", "flops")}
    return replace(recipe, objective={**parts, "flops": budget})


def _calm(recipe: Recipe) -> Recipe:
    optimizer = recipe.optimizer
    rate = ROUTER_RATE * optimizer.learning_rate
    return replace(recipe, optimizer=replace(optimizer, router_learning_rate=rate))


def without_routers(recipe: Recipe) -> tuple[str, ...]:
    """Keys of the objective's parts that mean something where paths are not decided."""
    return tuple(key for key in ("classification", "full", "teacher") if key in recipe.objective)


def _random_first(recipe: Recipe) -> Recipe:
    epochs = RANDOM_SHARE * recipe.epochs
    first = Phase(
        name="random",
        epochs=epochs,
        paths="uniform",
        objective=without_routers(recipe),
        schedule=Constant(),
    )
    rest = recipe.with_epochs(recipe.epochs - epochs)
    return replace(rest, phases=(first, *rest.phases))


def _told(recipe: Recipe) -> Recipe:
    gate = recipe.network.gate
    if not isinstance(gate, GumbelSoftmaxGateConfig | StraightThroughGateConfig):
        return recipe
    return _network(gate=replace(gate, told=True))(recipe)


def _codebook(size: int) -> Change:
    return Change(
        f"a small network serves few paths better: {size} learned ones",
        where_gated(_network(router=CodebookRouterConfig(size=size))),
    )


MEANS: dict[str, tuple[Change, ...]] = {
    "finetuned": finetuned.changes,
    "open": (
        Change("trained weights are kept: at the start every block runs", where_gated(_open)),
    ),
    "opening": (Change("blocks are given up one after the other", _routed(opening=OPENING)),),
    "hard": (
        Change("what trains is what evaluation runs: paths that are on or off", where_gated(_hard)),
    ),
    "quiet": (Change("noise throws trained weights away", where_gated(_quiet)),),
    "shared": (
        Change("one budget for all blocks: which of them run is learned", where_gated(_shared)),
    ),
    "calm": (Change("decisions that change slowly let blocks follow", where_gated(_calm)),),
    "detached": (
        Change(
            "routers learn from what blocks show, and do not change it",
            where_gated(lambda recipe: replace(recipe, detached_routers=True)),
        ),
    ),
    "sandwich": (
        Change(
            "one set of weights for many paths: the full one teaches them",
            where_gated(_with_part("full", FullPathConfig())),
        ),
    ),
    "taught": (
        Change("a trained network knows more than labels", _with_part("teacher", TeacherConfig())),
    ),
    "random-first": (
        Change("weights that bear any path, before routers choose", where_gated(_random_first)),
    ),
    "budgets": (
        Change(
            "one set of weights for many budgets: each batch has its own", _routed(budgets=BUDGETS)
        ),
    ),
    "told": (
        Change("which paths give way first, when the budget falls, is learned", where_gated(_told)),
    ),
    "recalibrated": (
        Change(
            "norms' statistics are those of the paths that evaluation takes",
            where_gated(lambda recipe: replace(recipe, recalibrated=BATCHES)),
        ),
    ),
    **{f"codebook{size}": (_codebook(size),) for size in (2, 4, 8)},
}
"""By the name that stands behind a recipe's."""


def with_means(recipe: Recipe, names: list[str]) -> Recipe:
    """The recipe after the changes of these means, under a name that says them.

    Raises ValueError for means that there are not.
    """
    for name in names:
        if name not in MEANS:
            raise ValueError(
                f"unknown means {name!r} behind a recipe; there are {', '.join(MEANS)}"
            )
        recipe = changed(recipe, *MEANS[name])
    added = "".join(f"+{name}" for name in names)
    source = replace(recipe.source, setup=f"{recipe.source.setup}{added}")
    return replace(recipe, name=f"{recipe.name}{added}", source=source)
