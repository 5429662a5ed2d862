"""A recipe and the options of its run, from the words of a command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from dyncore.recipes import Recipe, find_recipe
from dyncore.training._left_out import with_parts
from dyncore.training._options import RunOptions


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a recipe. Every field of the recipe can be changed; what follows shows its values."""

    run: Annotated[RunOptions, tyro.conf.arg(name="")]
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]


def parse_arguments(recipe: str, options: Sequence[str], *, prog: str) -> Arguments:
    """The recipe of that name, changed by ``options``.

    Raises ValueError for an unknown recipe, and exits after help, and with status 2 and a message
    that begins with ``prog`` for options that are wrong.
    """
    default, rest = with_parts(find_recipe(recipe), options)
    return tyro.cli(
        Arguments,
        prog=prog,
        args=rest,
        default=Arguments(run=RunOptions(), recipe=default),
        config=(tyro.conf.AvoidSubcommands,),
    )
