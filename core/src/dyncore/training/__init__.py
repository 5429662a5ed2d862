"""The trainer: from a recipe to a saved model; checkpoints and evaluation."""

from dyncore.training._about import About
from dyncore.training._arguments import Arguments, parse_arguments, parse_own_arguments
from dyncore.training._evaluating import evaluate, relaxation_gap
from dyncore.training._evaluation import Evaluation
from dyncore.training._guard import DivergedError
from dyncore.training._heap import keep_freed_memory
from dyncore.training._objective import LoopObjective, objective
from dyncore.training._options import Precision, Resume, RunOptions
from dyncore.training._random import draw_decisions
from dyncore.training._run_folder import EVALUATION_FILE, METRICS_FILE, MODEL, RECIPE_FILE
from dyncore.training._shuffled import shuffled_accuracy
from dyncore.training._signals import TrainingStopped
from dyncore.training._step import StepResult, TrainingStep, set_trainable
from dyncore.training._storage import StorageError
from dyncore.training._trainer import TrainingResult, train

__all__ = [
    "EVALUATION_FILE",
    "METRICS_FILE",
    "MODEL",
    "RECIPE_FILE",
    "About",
    "Arguments",
    "DivergedError",
    "Evaluation",
    "LoopObjective",
    "Precision",
    "Resume",
    "RunOptions",
    "StepResult",
    "StorageError",
    "TrainingResult",
    "TrainingStep",
    "TrainingStopped",
    "draw_decisions",
    "evaluate",
    "keep_freed_memory",
    "objective",
    "parse_arguments",
    "parse_own_arguments",
    "relaxation_gap",
    "set_trainable",
    "shuffled_accuracy",
    "train",
]
