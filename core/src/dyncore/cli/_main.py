"""The ``dyn`` command."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from dyncore.cli._bench import run_bench
from dyncore.cli._cascade import run_cascade
from dyncore.cli._eval import run_eval
from dyncore.cli._export import run_export
from dyncore.cli._list import run_list
from dyncore.cli._push import run_push
from dyncore.cli._stopped import leave
from dyncore.cli._train import run_train
from dyncore.export import ExportError
from dyncore.hub import HubError
from dyncore.parts import RegistryError
from dyncore.training import DivergedError, StorageError, TrainingStopped

COMMANDS: dict[str, tuple[Callable[[Sequence[str]], None], str]] = {
    "list": (run_list, "list methods, models or recipes"),
    "train": (run_train, "train a recipe: dyn train RECIPE [--data DATA] [--epochs N] ..."),
    "eval": (run_eval, "evaluate a saved model: dyn eval MODEL --data DATA"),
    "bench": (run_bench, "time each part of a model in the engine: dyn bench MODEL"),
    "cascade": (run_cascade, "which models make the best cascade: dyn cascade A B --data DATA"),
    "export": (run_export, "write a file that runs without Python: dyn export MODEL --format onnx"),
    "push": (run_push, "push a saved model to the Hub: dyn push FOLDER org/name"),
}


def usage() -> str:
    lines = [f"  {name:<7} {text}" for name, (_, text) in COMMANDS.items()]
    return "usage: dyn COMMAND ...\n\n" + "\n".join(lines) + "\n\ndyn COMMAND --help says more"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``dyn``; bad input ends with its message and exit status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return
    if arguments[0] not in COMMANDS:
        fail(f"unknown command {arguments[0]!r}; commands are {', '.join(COMMANDS)}")
    guard(lambda: COMMANDS[arguments[0]][0](arguments[1:]))


def guard(run: Callable[[], None]) -> None:
    """Run a command; an error that is meant for people loses its traceback and gets a prefix."""
    try:
        run()
    except (ValueError, FileNotFoundError, FileExistsError, HubError, RegistryError) as error:
        fail(str(error))
    except (DivergedError, ExportError, StorageError) as error:
        fail(str(error), status=1)
    except TrainingStopped as stop:
        leave(stop)
    except SystemExit as stop:  # tyro has shown what is wrong with which option
        if stop.code:
            fail("the options above are wrong or missing; --help explains all of them")
        raise


def fail(message: str, status: int = 2) -> NoReturn:
    print(f"dyn: {message}", file=sys.stderr)
    sys.exit(status)


def train_main(method: str) -> None:
    """``methods/<name>/train.py``: ``dyn train`` for the recipes of one method.

    With no recipe it lists the method's.
    """
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: train.py RECIPE [--data DATA] [--epochs N] ...; recipes of {method}:\n")
        guard(lambda: run_list(["recipes", method]))
        return
    guard(lambda: run_train(arguments))
