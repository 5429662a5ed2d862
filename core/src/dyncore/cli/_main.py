"""The ``dyn`` command."""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Any

from dyncore.cli._guard import fail, guard

COMMANDS = {
    "list": "list methods, models or recipes",
    "show": "show a recipe beside what its paper prints: dyn show RECIPE",
    "train": "train on your data: dyn train METHOD --backbone BACKBONE --data DATA, or a RECIPE",
    "reproduce": "run a campaign of recipes, and go on with it: dyn reproduce CAMPAIGN",
    "eval": "evaluate a saved model: dyn eval MODEL --data DATA",
    "bench": "what a model takes on your data and machine: dyn bench MODEL --data DATA",
    "calibrate": "make a model's cost a dial: dyn calibrate MODEL --data DATA",
    "cascade": "which models make the best cascade: dyn cascade A B --data DATA",
    "export": "write a file that runs without Python: dyn export MODEL --format onnx",
    "demo": "try a model on images in the browser: dyn demo MODEL",
    "report": "draw what evaluations say: dyn report EVALUATION ...",
    "new-method": "write the package of a method of your own: dyn new-method NAME",
    "push": "push a saved model to the Hub: dyn push FOLDER org/name",
    "completion": 'complete names in your shell: eval "$(dyn completion)"',
}
"""Each is the module of its name. It is imported when it is run, so that help is at once there."""
UNTYPED = ("list", "show", "train", "completion")
"""Commands that read their arguments themselves."""
DEBUG = "--debug"


MORE = """dyn COMMAND --help says more; dyn --version; --debug shows where an error comes from.

The first minute, with data that are bundled:

  dyn train rdinet-resnet20-digits-b0.6 --epochs 3
  dyn report runs/rdinet-resnet20-digits-b0.6 --data digits"""


def usage() -> str:
    lines = [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    return "usage: dyn COMMAND ...\n\n" + "\n".join(lines) + f"\n\n{MORE}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``dyn``; bad input ends with its message and exit status 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        return
    if given[0] == "--version":
        print(f"dyncore {version('dyncore')}")
        return
    debug = DEBUG in given
    command, *rest = [argument for argument in given if argument != DEBUG] or [""]
    if command not in COMMANDS:
        near = get_close_matches(command, COMMANDS, n=1)
        advice = f"did you mean {near[0]!r}? " if near else ""
        fail(f"unknown command {command!r}; {advice}'dyn --help' shows all")
    quiet_in_files()
    guard(lambda: run(command, rest), debug=debug)


def quiet_in_files() -> None:
    """Where no terminal shows them, leave out other libraries' bars: each step would be kept."""
    if not sys.stderr.isatty():
        for library in ("HF_DATASETS", "HF_HUB"):
            os.environ.setdefault(f"{library}_DISABLE_PROGRESS_BARS", "1")


def run(command: str, arguments: Sequence[str]) -> None:
    """Run a command. Where its options are fixed they are read before its module is imported."""
    given: Any = arguments
    if command not in UNTYPED:
        given = import_module("dyncore.cli._options").parse(command, arguments)
    import_module(f"dyncore.cli._{command.replace('-', '_')}").run(given)


def train_main(method: str) -> None:
    """``methods/<name>/train.py``: ``dyn train`` for the recipes of one method.

    With no recipe it lists the method's, and what can be set in all of them.
    """
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    debug = DEBUG in sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: train.py RECIPE [--data DATA] [--epochs N] ...; recipes of {method}:\n")
        guard(lambda: run("list", ["recipes", method]), debug=debug)
        guard(import_module("dyncore.cli._train").run_options, debug=debug)
        return
    quiet_in_files()
    guard(lambda: run("train", arguments), debug=debug)
