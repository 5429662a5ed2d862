"""``dyn train`` with a recipe."""

import io
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout

import tyro
from accelerate import PartialState

from dyncore.cli._guard import fail
from dyncore.cli._stopped import leave
from dyncore.recipes import Recipe, find_recipe, renamed
from dyncore.report import write_curves
from dyncore.training import (
    EVALUATION_FILE,
    DivergedError,
    RunOptions,
    StorageError,
    TrainingStopped,
    parse_arguments,
    parse_own_arguments,
    train,
)

logger = logging.getLogger("dyncore")


def run_training(recipe: str, options: Sequence[str]) -> None:
    """Train, and say where the results are. A run that goes wrong ends with status 1."""
    parsed = parse_arguments(recipe, options, prog=f"dyn train {recipe}")
    named = renamed(parsed.recipe, find_recipe(recipe), parsed.run.data)
    _train(named, parsed.run)


def run_own_training(method: str, options: Sequence[str]) -> None:
    """The same of a method on a backbone."""
    parsed, before = parse_own_arguments(method, options, prog=f"dyn train {method}")
    if parsed.run.init is None and PartialState().is_main_process:
        logger.warning(
            "the network begins with random weights: few epochs at a low rate are for trained "
            "ones, so give them with --init, or more --epochs and a higher rate"
        )
    _train(renamed(parsed.recipe, before, parsed.run.data), parsed.run)


def _train(recipe: Recipe, options: RunOptions) -> None:
    try:
        result = train(recipe, options)
    except (DivergedError, StorageError) as error:
        fail(str(error), status=1)
    except TrainingStopped as stop:
        leave(stop)
    # Once, however many processes train.
    PartialState().print(f"model: {result.model}")
    PartialState().print(f"evaluation: {result.folder / EVALUATION_FILE}")
    if PartialState().is_main_process:
        print(f"curves: {write_curves(result.folder)}")


class _Kept(io.StringIO):
    """Keeps what is printed; whether it goes to a terminal, the real output answers."""

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def help_text(recipe: str) -> str:
    """What ``dyn train RECIPE --help`` prints. Raises ValueError for a recipe that is unknown."""
    return _printed(lambda: parse_arguments(recipe, ["--help"], prog=f"dyn train {recipe}"))


def own_help_text(method: str) -> str:
    """What ``dyn train METHOD --help`` prints. Raises ValueError for a method that is unknown."""
    return _printed(lambda: parse_own_arguments(method, ["--help"], prog=f"dyn train {method}"))


def run_options_text() -> str:
    """The options of every run; those of its recipe come on top."""
    return _printed(lambda: tyro.cli(RunOptions, prog="train.py RECIPE", args=["--help"]))


def _printed(show_help: Callable[[], object]) -> str:
    kept = _Kept()
    try:
        with redirect_stdout(kept):
            show_help()
    except SystemExit as stop:
        if stop.code:
            raise
    return kept.getvalue()
