"""``dyn train``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from accelerate import PartialState

from dyncore.recipes import Recipe, find_recipe
from dyncore.training import RunOptions, train


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a recipe. Every field of the recipe can be changed; what follows shows its values."""

    run: Annotated[RunOptions, tyro.conf.arg(name="")]
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]


def run_train(arguments: Sequence[str]) -> None:
    """``dyn train RECIPE [--data DATA] [--epochs N] [--output FOLDER] [--FIELD VALUE] ...``."""
    if arguments and arguments[0] in ("-h", "--help"):
        print("usage: dyn train RECIPE ...; 'dyn train RECIPE --help' shows all that can be set")
        return
    if not arguments or arguments[0].startswith("-"):
        raise ValueError("name a recipe first: dyn train RECIPE ...; 'dyn list recipes' shows them")
    parsed = tyro.cli(
        Arguments,
        prog=f"dyn train {arguments[0]}",
        args=list(arguments[1:]),
        default=Arguments(run=RunOptions(), recipe=find_recipe(arguments[0])),
        config=(tyro.conf.AvoidSubcommands,),
    )
    result = train(parsed.recipe, parsed.run)
    # Once, however many processes train.
    PartialState().print(f"model: {result.model}")
    PartialState().print(f"evaluation: {result.folder / 'evaluation.parquet'}")
