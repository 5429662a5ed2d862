"""Short-range routers on whole blocks: the baseline of RDI-Net and SP-Net."""

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Granularity
from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.methods.static import BASELINES
from dyncore.network import DynamicConfig
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig
from dyncore.registry import Method
from dyncore.training import GATED_SGD, STEP_PHASES, Recipe, Source, make_recipe


def configure(backbone: BackboneConfig, paths: int, num_classes: int) -> DynamicConfig:
    """Each block decides from its own input. Raises ValueError for more than one path."""
    return DynamicConfig(
        backbone=backbone,
        num_classes=num_classes,
        granularity=Granularity(paths=paths),
        router=ShortRangeRouterConfig(),
        gate=GumbelSoftmaxGateConfig(),
        combine="blend" if paths == 1 else "additive",
    )


METHOD = Method(
    name="vanilla",
    configure=configure,
    backbones=(
        *(f"resnet{n}-cifar" for n in (20, 32, 110)),
        *(f"resnet{n}" for n in (50, 101)),
    ),
)

BUDGETS = (0.2, 0.4, 0.5, 0.6, 0.8, 0.9)
"""Target rates t: SP-Net's (section 4.3), and 0.5 and 0.6."""

ROUTERS = {"digits": ShortRangeRouterConfig(dim=32)}
"""Narrower where images are so small that 256-wide routers would cost a quarter of the network."""


def _recipe(backbone: str, benchmark: str, budget: float) -> Recipe:
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        budget=budget,
        router=ROUTERS.get(benchmark),
        source=Source(
            paper="RDI-Net",
            place="Figure 5, Vanilla",
            borrowed="t: SP-Net section 4.3; optimiser and milestones: SP-Net section 4.2; "
            "augmentation: CDB section 4",
        ),
        objective={
            "classification": CrossEntropyConfig(),
            "rate": ExecutionRateConfig(target=budget),
        },
        phases=(STEP_PHASES[benchmark],),
        optimizer=GATED_SGD,
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (_recipe(*run, budget) for run in BASELINES for budget in BUDGETS)
}
