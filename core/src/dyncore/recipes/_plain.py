"""The recipe of a method that leaves out nothing of it, held to a budget."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dyncore.objectives import ExecutionRateConfig, FlopsRatioConfig
from dyncore.parts import look_up
from dyncore.recipes._benchmarks import BENCHMARKS
from dyncore.recipes._installed import recipes
from dyncore.recipes._recipe import Recipe
from dyncore.registry import Method

BUDGET = 0.6
"""Of gated networks, where none is given."""
SIMILAR = ("cifar10", "digits")
"""Benchmarks whose recipes are taken first: classes without superclasses, small networks."""
SETUPS = ("tuned", "paper")
"""In order."""


def plain_recipe(method: str, budget: float | None = None) -> Recipe:
    """The method's own recipe whose losses and phases suit other networks, at a budget.

    ``budget`` is the share of the gated MACs that is to run (None: 0.6). Raises ValueError for a
    method that there is not, and for a budget where nothing is gated.
    """
    found: Method = look_up("methods", method)
    gated = found.gate is not None
    if budget is not None and not gated:
        raise ValueError(f"{method} has no budget: all of its blocks always run")
    mine = [recipe for recipe in recipes().values() if recipe.model.startswith(f"{method}-")]
    plain = [each for each in mine if _is_plain(each) and bool(targets(each)) == gated]
    if not plain:
        raise ValueError(
            f"{method} has no recipe{' with a budget' if gated else ''} whose losses could be "
            "taken: its package must list one"
        )
    wanted = BUDGET if budget is None else budget

    def rank(recipe: Recipe) -> tuple[Any, ...]:
        similar = [BENCHMARKS[name].dataset for name in SIMILAR]
        data = similar.index(recipe.dataset) if recipe.dataset in similar else len(similar)
        nearest = min((abs(target - wanted) for target in targets(recipe)), default=0.0)
        return data, SETUPS.index(recipe.source.setup), nearest, recipe.name

    return held(min(plain, key=rank), wanted) if gated else min(plain, key=rank)


def targets(recipe: Recipe) -> tuple[float, ...]:
    """The shares that the recipe's budgets hold to, each once, ascending."""
    return tuple(sorted({part.target for _, part in _budgets(recipe)}))


def held(recipe: Recipe, budget: float) -> Recipe:
    """The recipe with its budgets' targets at another share. Raises ValueError if it has none."""
    parts = {key: replace(part, target=budget) for key, part in _budgets(recipe)}
    if not parts:
        raise ValueError(f"{recipe.name} has no loss that holds it to a budget")
    return replace(recipe, objective={**recipe.objective, **parts})


def _budgets(recipe: Recipe) -> Iterator[tuple[str, ExecutionRateConfig | FlopsRatioConfig]]:
    for key, part in recipe.objective.items():
        if isinstance(part, ExecutionRateConfig | FlopsRatioConfig):
            yield key, part


def _is_plain(recipe: Recipe) -> bool:
    """Whether it leaves out nothing of its method: no row of an ablation, no short run."""
    if recipe.source.setup not in SETUPS:
        return False
    name = recipe.name.removesuffix(f"-{recipe.source.setup}")
    ends = [f"-b{target:g}" for target in targets(recipe)] or [f"-{key}" for key in BENCHMARKS]
    return name.endswith(tuple(ends))
