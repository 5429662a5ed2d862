"""The training set-ups of the dynamic baseline of RDI-Net and SP-Net."""

from collections.abc import Iterator

from dyncore.methods.static.recipes import BASELINES, baseline_place
from dyncore.methods.vanilla.method import METHOD
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig
from dyncore.recipes import (
    ON_DIGITS,
    STEP_PHASES,
    Print,
    Recipe,
    Source,
    changed,
    make_recipe,
    narrowed,
    short,
    tuned,
    with_settings,
)

PRINT = Print.of("dyncore.methods.vanilla")

BUDGETS = (0.2, 0.4, 0.5, 0.6, 0.8, 0.9)
"""Target rates t: SP-Net's (section 4.3), and 0.5 and 0.6."""


def _recipe(backbone: str, benchmark: str, budget: float, paper: str, place: str) -> Recipe:
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        budget=budget,
        source=Source(paper=paper, place=place),
        objective={
            "classification": CrossEntropyConfig(),
            "rate": ExecutionRateConfig(target=budget),
        },
        phases=(STEP_PHASES[benchmark],),
    )
    weights = "torch" if benchmark == "imagenet" else "he"
    start = {f"network.{part}.initial_weights": weights for part in ("router", "gate")}
    return PRINT.credited(with_settings(recipe, start))


def _baselines(budget: float) -> Iterator[Recipe]:
    """Of RDI-Net and SP-Net, as printed and tuned."""
    for backbone, benchmark in BASELINES:
        place = baseline_place(backbone, benchmark, "Vanilla")
        recipe = _recipe(backbone, benchmark, budget, "RDI-Net", place)
        yield recipe
        yield tuned(recipe)


def _small(budget: float) -> Iterator[Recipe]:
    """Ours."""
    place = "RDI-Net's set-up on a smaller network"
    for benchmark in ("cifar10", "cifar100"):
        recipe = _recipe("resnet20-cifar", benchmark, budget, "ours", place)
        yield recipe
        yield short(recipe)
    digits = _recipe("resnet20-cifar", "digits", budget, "ours", f"{place}, on digits")
    yield changed(digits, narrowed(32), *ON_DIGITS)


RECIPES = {
    recipe.name: recipe
    for recipes in (_baselines, _small)
    for budget in BUDGETS
    for recipe in recipes(budget)
}
