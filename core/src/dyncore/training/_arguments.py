"""What is trained and the options of its run, from the words of a command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import tyro

from dyncore.parts import look_up
from dyncore.recipes import Recipe, find_recipe, own_recipe
from dyncore.registry import Method
from dyncore.training._left_out import with_parts
from dyncore.training._options import RunOptions
from dyncore.training._torch_named import with_torch_names

Value = TypeVar("Value", str, int, float)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a recipe. Every field of the recipe can be changed; what follows shows its values."""

    run: Annotated[RunOptions, tyro.conf.arg(name="")]
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]


@dataclass(frozen=True, kw_only=True)
class Own:
    """What is fine-tuned on data of one's own."""

    backbone: str
    """A network of dyncore's, e.g. resnet18 ('dyn list models static' shows them, behind their
    method), or of a library: timm:NAME, torchvision:NAME."""
    paths: int | None = None
    """Paths per block; None: the method's fewest."""
    budget: float | None = None
    """Share of the gated MACs that is to run; None: 0.6."""


@dataclass(frozen=True, kw_only=True)
class OwnArguments:
    """Fine-tune a method's network on your own data. What follows shows all values."""

    own: Annotated[Own, tyro.conf.arg(name="")]
    run: Annotated[RunOptions, tyro.conf.arg(name="")]
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]


def parse_arguments(recipe: str, options: Sequence[str], *, prog: str) -> Arguments:
    """The recipe of that name, changed by ``options``.

    Raises ValueError for an unknown recipe, and exits after help, and with status 2 and a message
    that begins with ``prog`` for options that are wrong.
    """
    default, rest = _changed(find_recipe(recipe), options)
    return tyro.cli(
        Arguments,
        prog=prog,
        args=rest,
        default=Arguments(run=RunOptions(), recipe=default),
        config=(tyro.conf.AvoidSubcommands,),
    )


def parse_own_arguments(
    method: str, options: Sequence[str], *, prog: str
) -> tuple[Arguments, Recipe]:
    """How ``method`` is fine-tuned on the backbone and the data that ``options`` name.

    With it comes the recipe as it was before options changed its fields. Raises ValueError for a
    method or a backbone that there is not and where backbone or data are missing; exits as
    :func:`parse_arguments` does.
    """
    found: Method = look_up("methods", method)
    backbone = _given(options, "--backbone", str)
    own = Own(
        backbone=backbone or found.backbones[0],
        paths=_given(options, "--paths", int),
        budget=_given(options, "--budget", float),
    )
    data = _given(options, "--data", str) or ""
    if not {"-h", "--help"} & set(options):
        wanted = {"--backbone": backbone, "--data": data}
        if missing := [name for name, value in wanted.items() if not value]:
            raise ValueError(
                f"dyn train {method} needs {' and '.join(missing)}: dyn train {method} --backbone "
                "resnet18 --data FOLDER --init timm:resnet18; or name one of its recipes: 'dyn "
                f"list recipes {method}' shows them"
            )
    recipe = own_recipe(
        method,
        own.backbone,
        data=data or "data",
        paths=own.paths,
        budget=own.budget,
        size=_given(options, "--size", int),
    )
    default, rest = _changed(recipe, options)
    parsed = tyro.cli(
        OwnArguments,
        prog=prog,
        args=rest,
        default=OwnArguments(own=own, run=RunOptions(), recipe=default),
        config=(tyro.conf.AvoidSubcommands,),
    )
    return Arguments(run=parsed.run, recipe=parsed.recipe), recipe


def _changed(recipe: Recipe, options: Sequence[str]) -> tuple[Recipe, list[str]]:
    return with_parts(*with_torch_names(recipe, options))


def _given(options: Sequence[str], name: str, kind: Callable[[str], Value]) -> Value | None:
    """The value of an option, if it is one; what is wrong with it is said when all are read."""
    words = [word for option in options for word in option.split("=", 1)] + [""]
    found = [words[index + 1] for index, word in enumerate(words[:-1]) if word == name]
    try:
        return kind(found[-1]) if found and found[-1] else None
    except ValueError:
        return None
