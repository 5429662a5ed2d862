"""What a recipe is, how it is named and found, and our changes to the papers' set-ups."""

from dyncore.recipes._benchmarks import BENCHMARKS, Benchmark
from dyncore.recipes._change import Change, Variant, changed, differences
from dyncore.recipes._context import (
    ContextRow,
    context_optimizer,
    context_recipes,
    context_short,
    context_tuned,
)
from dyncore.recipes._installed import find_print, find_recipe, recipes
from dyncore.recipes._make import make_recipe
from dyncore.recipes._means import MEANS, with_means, without_routers
from dyncore.recipes._optimizer import SGD, TorchOptimizer
from dyncore.recipes._own import own_recipe, renamed
from dyncore.recipes._phases import CONTEXT_PHASES, STEP_PHASES
from dyncore.recipes._plain import held, plain_recipe, targets
from dyncore.recipes._print import Compared, Print, Statement, shown
from dyncore.recipes._recipe import Phase, Recipe, Source
from dyncore.recipes._schedule import Annealing, Constant, Cosine, Schedule, Steps
from dyncore.recipes._settings import settings, with_settings
from dyncore.recipes._torch_schedule import TorchSchedule
from dyncore.recipes._variants import (
    HE_START,
    HELD,
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
    "HELD",
    "HE_START",
    "MEANS",
    "ON_DIGITS",
    "SGD",
    "SHORT_ANNEALING",
    "SHORT_RUN",
    "STEP_PHASES",
    "Annealing",
    "Benchmark",
    "Change",
    "Compared",
    "Constant",
    "ContextRow",
    "Cosine",
    "Phase",
    "Print",
    "Recipe",
    "Schedule",
    "Source",
    "Statement",
    "Steps",
    "TorchOptimizer",
    "TorchSchedule",
    "Variant",
    "annealed",
    "changed",
    "context_optimizer",
    "context_recipes",
    "context_short",
    "context_tuned",
    "differences",
    "find_print",
    "find_recipe",
    "finetuned",
    "held",
    "make_recipe",
    "narrowed",
    "own_recipe",
    "plain_recipe",
    "recipes",
    "renamed",
    "settings",
    "short",
    "shown",
    "targets",
    "tuned",
    "with_means",
    "with_settings",
    "without_routers",
]
