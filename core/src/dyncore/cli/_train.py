"""``dyn train``: what is said without training."""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from dyncore.cli._remembered import remembered

USAGE = """usage: dyn train METHOD --backbone BACKBONE --data FOLDER ...
       dyn train RECIPE ...

Your images, a method and a backbone, in one line:

  dyn train rdinet --backbone resnet18 --data FOLDER --size 224 --budget 0.6 --init timm:resnet18
  dyn train rdinet --backbone timm:convnext_atto --data FOLDER --init timm:convnext_atto

METHOD is a name that 'dyn list methods' shows; BACKBONE one of dyncore's, timm:NAME or
torchvision:NAME. FOLDER holds train/CLASS/ and val/CLASS/ with images of any size, or CLASS/ alone.
--budget is the share of the gated MACs that is to run. 'dyn train METHOD --help' shows all that can
be set.

A set-up that is listed, a paper's or ours:

  dyn train rdinet-resnet20-digits-b0.6 --epochs 3
  dyn train rdinet-resnet20-cifar10-b0.6-short --data path/to/cifar10 --resume auto

RECIPE is a name that 'dyn list recipes' shows; 'dyn train RECIPE --help' shows all that can be set.

Any optimiser and schedule of torch's: --optimizer 'AdamW(lr=3e-4)' --schedule OneCycleLR. Images
that cannot be read are left out with --skip-corrupt. A run goes into runs/NAME: the model, its
evaluation, checkpoints, metrics and their curves. NAME says what it is, or is given: --name NAME.
"""
HELP = ("-h", "--help")


def run(arguments: Sequence[str]) -> None:
    """``dyn train METHOD --backbone BACKBONE --data DATA ...`` or ``dyn train RECIPE ...``."""
    if arguments and arguments[0] in HELP:
        print(USAGE, end="")
        return
    if not arguments or arguments[0].startswith("-"):
        raise ValueError(
            "name a recipe first: dyn train RECIPE ...; 'dyn list recipes' shows them; or a "
            "method: dyn train METHOD --backbone BACKBONE --data FOLDER"
        )
    recipe, *options = arguments
    own = _is_method(recipe) or any(word.partition("=")[0] == "--backbone" for word in options)
    if len(options) == 1 and options[0] in HELP:
        text = remembered(f"help of {recipe}", lambda: _help(recipe, own=own), given=_screen())
        print(text, end="")
        return
    from dyncore.cli._training import run_own_training, run_training

    (run_own_training if own else run_training)(recipe, options)


def _is_method(name: str) -> bool:
    return bool(entry_points(group="dyncore.methods", name=name))


def run_options() -> None:
    """Print what can be set in every run, whatever its recipe."""
    print(remembered("run options", _run_options, given=_screen()), end="")


def _run_options() -> str:
    from dyncore.cli._training import run_options_text

    return run_options_text()


def _help(recipe: str, *, own: bool) -> str:
    from dyncore.cli._training import help_text, own_help_text

    return own_help_text(recipe) if own else help_text(recipe)


def _screen() -> list[object]:
    """What the form of a help text depends on: the width and the colours of the terminal."""
    variables = [os.environ.get(name) for name in ("TERM", "NO_COLOR", "FORCE_COLOR")]
    return [shutil.get_terminal_size().columns, sys.stdout.isatty(), *variables]
