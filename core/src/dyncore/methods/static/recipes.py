"""The plain backbone's training set-ups: what the dynamic ones are compared with."""

from collections.abc import Iterator

from dyncore.methods.static.method import METHOD
from dyncore.objectives import CrossEntropyConfig
from dyncore.recipes import (
    CONTEXT_PHASES,
    SGD,
    STEP_PHASES,
    Phase,
    Recipe,
    Source,
    context_optimizer,
    finetuned,
    make_recipe,
    short,
)

BASELINES = (
    *(
        (f"resnet{layers}-cifar", benchmark)
        for layers in (32, 110)
        for benchmark in ("cifar10", "cifar100")
    ),
    *((f"resnet{layers}", "imagenet") for layers in (50, 101)),
)
"""(backbone, benchmark) of the baselines of RDI-Net and SP-Net."""

BORROWED = "optimiser and milestones: SP-Net section 4.2; augmentation: CDB section 4"


def _stepped(backbone: str, benchmark: str, source: Source) -> Recipe:
    return _recipe(backbone, benchmark, source, STEP_PHASES[benchmark])


def _baselines() -> Iterator[Recipe]:
    """Of RDI-Net and SP-Net."""
    source = Source(paper="RDI-Net", place="Figure 5, ResNet", borrowed=BORROWED)
    for backbone, benchmark in BASELINES:
        yield _stepped(backbone, benchmark, source)


FROM_WEIGHTS = Source(paper="ours", place="from trained weights, for cascades", borrowed=BORROWED)


def _small() -> Iterator[Recipe]:
    """Ours: what the dynamic ones are compared with."""
    for benchmark in ("cifar10", "cifar100"):
        place = "RDI-Net's set-up on a smaller network"
        source = Source(paper="ours", place=place, borrowed=BORROWED)
        recipe = _stepped("resnet20-cifar", benchmark, source)
        yield recipe
        yield short(recipe)
    for layers in (20, 32, 56):
        yield finetuned(_stepped(f"resnet{layers}-cifar", "cifar10", FROM_WEIGHTS))
    yield _stepped("resnet20-cifar", "digits", Source(paper="ours", place="ResNet-20 on digits"))


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
    return _stepped(
        backbone,
        "cifar10",
        Source(
            paper="LC-Net",
            place=f"Table 1, {backbone.removesuffix('-cifar').replace('resnet', 'Res')}",
            borrowed="everything but the network: RDI-Net's set-up",
        ),
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
        *_baselines(),
        *_small(),
        *(_context(*run) for run in CONTEXT_BASELINES),
        *(_start(f"resnet{layers}-cifar") for layers in (18, 50, 101)),
    )
}
