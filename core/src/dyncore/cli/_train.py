"""``dyn train``: what is said without training."""

import os
import shutil
import sys
from collections.abc import Sequence

from dyncore.cli._remembered import remembered

USAGE = """usage: dyn train RECIPE ...; 'dyn train RECIPE --help' shows all that can be set

  dyn train rdinet-resnet20-digits-b0.6 --epochs 3
  dyn train rdinet-resnet20-cifar10-b0.6-short --data path/to/cifar10 --resume auto

RECIPE is a name that 'dyn list recipes' shows. Its run goes into runs/RECIPE: the model, its
evaluation, checkpoints, metrics and their curves.
"""
HELP = ("-h", "--help")


def run(arguments: Sequence[str]) -> None:
    """``dyn train RECIPE [--data DATA] [--epochs N] [--output FOLDER] [--FIELD VALUE] ...``."""
    if arguments and arguments[0] in HELP:
        print(USAGE, end="")
        return
    if not arguments or arguments[0].startswith("-"):
        raise ValueError("name a recipe first: dyn train RECIPE ...; 'dyn list recipes' shows them")
    recipe, *options = arguments
    if len(options) == 1 and options[0] in HELP:
        print(remembered(f"help of {recipe}", lambda: _help(recipe), given=_screen()), end="")
        return
    from dyncore.cli._training import run_training

    run_training(recipe, options)


def run_options() -> None:
    """Print what can be set in every run, whatever its recipe."""
    print(remembered("run options", _run_options, given=_screen()), end="")


def _run_options() -> str:
    from dyncore.cli._training import run_options_text

    return run_options_text()


def _help(recipe: str) -> str:
    from dyncore.cli._training import help_text

    return help_text(recipe)


def _screen() -> list[object]:
    """What the form of a help text depends on: the width and the colours of the terminal."""
    variables = [os.environ.get(name) for name in ("TERM", "NO_COLOR", "FORCE_COLOR")]
    return [shutil.get_terminal_size().columns, sys.stdout.isatty(), *variables]
