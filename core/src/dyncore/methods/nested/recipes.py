"""The training set-ups of networks with a smaller one inside."""

from collections.abc import Iterator

from dyncore.methods.nested.method import METHOD
from dyncore.objectives import CrossEntropyConfig, NestedConfig
from dyncore.recipes import STEP_PHASES, Print, Recipe, Source, finetuned, make_recipe

PRINT = Print.of("dyncore.methods.nested")


def _recipe(backbone: str, benchmark: str, place: str) -> Recipe:
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=Source(paper="ours", place=place),
        objective={"classification": CrossEntropyConfig(), "nested": NestedConfig()},
        phases=(STEP_PHASES[benchmark],),
    )
    return PRINT.credited(recipe)


def _recipes() -> Iterator[Recipe]:
    for layers in (32, 56):
        recipe = _recipe(
            f"resnet{layers}-cifar", "cifar10", "two depths of one network, for cascades"
        )
        yield recipe
        yield finetuned(recipe)
    yield _recipe("resnet20-cifar", "digits", "two depths of one network, on digits")


RECIPES = {recipe.name: recipe for recipe in _recipes()}
