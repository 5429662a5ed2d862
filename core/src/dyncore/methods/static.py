"""The plain backbone: nothing is gated."""

from dyncore.backbones import BACKBONES, BackboneConfig
from dyncore.network import DynamicConfig
from dyncore.objectives import CrossEntropyConfig
from dyncore.registry import Method
from dyncore.training import STEP_PHASES, Recipe, Source, make_recipe


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """The backbone itself. Raises ValueError for more than one path: that is another method."""
    if paths > 1:
        raise ValueError(f"static models have one path per block, not {paths}: drop '-n{paths}'")
    return DynamicConfig(backbone=backbone, num_classes=num_classes)


METHOD = Method(name="static", configure=configure, backbones=tuple(BACKBONES))

BASELINES = (
    *(
        (f"resnet{layers}-cifar", benchmark)
        for layers in (20, 32, 110)
        for benchmark in ("cifar10", "cifar100")
    ),
    *((f"resnet{layers}", "imagenet") for layers in (50, 101)),
    ("resnet20-cifar", "digits"),
)
"""(backbone, benchmark) of every baseline."""


def _recipe(backbone: str, benchmark: str) -> Recipe:
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=Source(
            paper="RDI-Net",
            place="Figure 5, ResNet",
            borrowed="optimiser and milestones: SP-Net section 4.2; augmentation: CDB section 4",
        ),
        objective={"classification": CrossEntropyConfig()},
        phases=(STEP_PHASES[benchmark],),
    )


RECIPES = {recipe.name: recipe for recipe in (_recipe(*run) for run in BASELINES)}
