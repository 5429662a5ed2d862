"""Training set-ups: cross-entropy, and every block's rate is pulled to the target t."""

from dyn_convnet_aig.method import METHOD
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig
from dyncore.recipes import ON_DIGITS, STEP_PHASES, Recipe, Source, changed, make_recipe, short

PLACES = (
    *(("resnet20-cifar", "digits", target) for target in (0.5, 0.7)),
    *(("resnet20-cifar", "cifar10", target) for target in (0.5, 0.7)),
    ("resnet110-cifar", "cifar10", 0.7),
    *(("resnet50", "imagenet", target) for target in (0.4, 0.5, 0.6, 0.7)),
    *(("resnet101", "imagenet", target) for target in (0.3, 0.5)),
)


def _recipe(backbone: str, benchmark: str, target: float) -> Recipe:
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        budget=target,
        source=Source(
            paper="ConvNet-AIG",
            place="target rate loss",
            borrowed="schedule, optimiser, augmentation: those of RDI-Net's recipes",
        ),
        objective={
            "classification": CrossEntropyConfig(),
            "rate": ExecutionRateConfig(target=target, reads="training"),
        },
        phases=(STEP_PHASES[benchmark],),
    )


def _all() -> list[Recipe]:
    recipes = [_recipe(*place) for place in PLACES]
    recipes = [changed(r, *ON_DIGITS) if r.dataset == "digits" else r for r in recipes]
    return recipes + [short(r) for r in recipes if r.model == "aig-resnet20-cifar"]


RECIPES = {recipe.name: recipe for recipe in _all()}
