"""What a recipe is, how it is named and found, and our changes to the papers' set-ups."""

from dyncore.recipes._benchmarks import BENCHMARKS, Benchmark
from dyncore.recipes._change import Change, Variant, changed, differences
from dyncore.recipes._context import (
    ContextRow,
    context_optimizer,
    context_recipes,
    context_short,
)
from dyncore.recipes._installed import find_recipe, recipes
from dyncore.recipes._make import make_recipe
from dyncore.recipes._means import MEANS, with_means, without_routers
from dyncore.recipes._phases import CONTEXT_PHASES, STEP_PHASES
from dyncore.recipes._recipe import SGD, Phase, Recipe, Source
from dyncore.recipes._schedule import Annealing, Constant, Cosine, Schedule, Steps
from dyncore.recipes._variants import (
    ON_DIGITS,
    SHORT_ANNEALING,
    SHORT_RUN,
    annealed,
    finetuned,
    narrowed,
    short,
    tuned,
)

__all__ = [
    "BENCHMARKS",
    "CONTEXT_PHASES",
    "MEANS",
    "ON_DIGITS",
    "SGD",
    "SHORT_ANNEALING",
    "SHORT_RUN",
    "STEP_PHASES",
    "Annealing",
    "Benchmark",
    "Change",
    "Constant",
    "ContextRow",
    "Cosine",
    "Phase",
    "Recipe",
    "Schedule",
    "Source",
    "Steps",
    "Variant",
    "annealed",
    "changed",
    "context_optimizer",
    "context_recipes",
    "context_short",
    "differences",
    "find_recipe",
    "finetuned",
    "make_recipe",
    "narrowed",
    "recipes",
    "short",
    "tuned",
    "with_means",
    "without_routers",
]
