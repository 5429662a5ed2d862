"""Recipes, phases, the trainer, checkpoints and evaluation."""

from dyncore.training._benchmarks import (
    BENCHMARKS,
    GATED_SGD,
    SHORT_ANNEALING,
    STEP_PHASES,
    Benchmark,
    make_recipe,
)
from dyncore.training._context_recipes import (
    CONTEXT_PHASES,
    ContextRow,
    context_optimizer,
    context_recipes,
)
from dyncore.training._evaluation import Evaluation, evaluate, relaxation_gap
from dyncore.training._guard import DivergedError
from dyncore.training._heap import keep_freed_memory
from dyncore.training._options import Precision, Resume, RunOptions
from dyncore.training._random import draw_decisions
from dyncore.training._recipe import SGD, Phase, Recipe, Source
from dyncore.training._recipes import find_recipe, recipes
from dyncore.training._schedule import Annealing, Constant, Cosine, Schedule, Steps
from dyncore.training._signals import TrainingStopped
from dyncore.training._step import StepResult, TrainingStep, set_trainable
from dyncore.training._storage import StorageError
from dyncore.training._trainer import TrainingResult, train

__all__ = [
    "BENCHMARKS",
    "CONTEXT_PHASES",
    "GATED_SGD",
    "SGD",
    "SHORT_ANNEALING",
    "STEP_PHASES",
    "Annealing",
    "Benchmark",
    "Constant",
    "ContextRow",
    "Cosine",
    "DivergedError",
    "Evaluation",
    "Phase",
    "Precision",
    "Recipe",
    "Resume",
    "RunOptions",
    "Schedule",
    "Source",
    "StepResult",
    "Steps",
    "StorageError",
    "TrainingResult",
    "TrainingStep",
    "TrainingStopped",
    "context_optimizer",
    "context_recipes",
    "draw_decisions",
    "evaluate",
    "find_recipe",
    "keep_freed_memory",
    "make_recipe",
    "recipes",
    "relaxation_gap",
    "set_trainable",
    "train",
]
