"""The plain backbone: nothing is gated."""

from dyncore.backbones import BACKBONES, BackboneConfig
from dyncore.network import DynamicConfig
from dyncore.objectives import CrossEntropyConfig
from dyncore.registry import Method
from dyncore.training import (
    CONTEXT_PHASES,
    SGD,
    STEP_PHASES,
    Phase,
    Recipe,
    Source,
    context_optimizer,
    make_recipe,
)


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
"""(backbone, benchmark) of the baselines of RDI-Net and SP-Net."""


def _stepped(backbone: str, benchmark: str) -> Recipe:
    return _recipe(
        backbone,
        benchmark,
        Source(
            paper="RDI-Net",
            place="Figure 5, ResNet",
            borrowed="optimiser and milestones: SP-Net section 4.2; augmentation: CDB section 4",
        ),
        STEP_PHASES[benchmark],
    )


CONTEXT_BASELINES = (
    ("resnet50", "imagenet", "Table 2, ResNet-50 (ours)", "cosine"),
    ("resnet101", "imagenet", "Table 2, ResNet-101 (ours)", "cosine"),
    ("mobilenetv2", "imagenet", "Table 3, MobileNetV2 (ours)", ""),
    ("mobilenetv2-1.4", "imagenet", "Table 3, MobileNetV2 (1.4) (ours)", ""),
    ("resnet50-cifar2", "cifar100", "Table 4, ResNet-50", ""),
)
"""(backbone, benchmark, place, variant) of the baselines of CDB and DMNN."""


def _context(backbone: str, benchmark: str, place: str, variant: str) -> Recipe:
    return _recipe(
        backbone,
        benchmark,
        Source(paper="CDB", place=place, borrowed="that it trains as the dynamic networks do"),
        CONTEXT_PHASES[benchmark],
        context_optimizer(backbone, benchmark),
        variant,
    )


def _start(backbone: str) -> Recipe:
    """Where LC-Net's pre-trained row begins: ``--init`` reads its saved model."""
    return _recipe(
        backbone,
        "cifar10",
        Source(
            paper="LC-Net",
            place=f"Table 1, {backbone.removesuffix('-cifar').replace('resnet', 'Res')}",
            borrowed="everything but the network: RDI-Net's set-up",
        ),
        STEP_PHASES["cifar10"],
    )


def _recipe(
    backbone: str,
    benchmark: str,
    source: Source,
    phase: Phase,
    optimizer: SGD | None = None,
    variant: str = "",
) -> Recipe:
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=source,
        objective={"classification": CrossEntropyConfig()},
        phases=(phase,),
        optimizer=optimizer,
        variant=variant,
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        *(_stepped(*run) for run in BASELINES),
        *(_context(*run) for run in CONTEXT_BASELINES),
        *(_start(f"resnet{layers}-cifar") for layers in (18, 50, 101)),
    )
}
