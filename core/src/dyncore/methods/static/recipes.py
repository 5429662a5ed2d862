"""The plain backbone's training set-ups: what the dynamic ones are compared with."""

from collections.abc import Iterator

from dyncore.methods.static.method import METHOD
from dyncore.objectives import CrossEntropyConfig
from dyncore.recipes import (
    CONTEXT_PHASES,
    SGD,
    STEP_PHASES,
    Phase,
    Print,
    Recipe,
    Source,
    context_optimizer,
    finetuned,
    make_recipe,
    short,
)

PRINT = Print.of("dyncore.methods.static")

FIGURE_5 = {
    ("resnet110-cifar", "cifar10"): "Figure 5(a)",
    ("resnet110-cifar", "cifar100"): "Figure 5(b)",
    ("resnet50", "imagenet"): "Figure 5(c)",
}
"""(backbone, benchmark) → where RDI-Net draws its baselines."""

BASELINES = (
    *FIGURE_5,
    ("resnet32-cifar", "cifar10"),
    ("resnet32-cifar", "cifar100"),
    ("resnet101", "imagenet"),
)
"""(backbone, benchmark) of the baselines of RDI-Net and SP-Net, drawn or not."""


def baseline_place(backbone: str, benchmark: str, row: str) -> str:
    """Where RDI-Net shows the baseline called ``row``."""
    figure = FIGURE_5.get((backbone, benchmark))
    return f"{figure}, {row}" if figure else "section 4.1, no result printed"


def _stepped(backbone: str, benchmark: str, source: Source) -> Recipe:
    return _recipe(backbone, benchmark, source, STEP_PHASES[benchmark])


def _baselines() -> Iterator[Recipe]:
    """Of RDI-Net and SP-Net."""
    for backbone, benchmark in BASELINES:
        place = baseline_place(backbone, benchmark, "ResNet")
        recipe = _stepped(backbone, benchmark, Source(paper="RDI-Net", place=place))
        yield recipe
        if recipe.name == "static-resnet32-cifar10":
            yield finetuned(recipe)  # for cascades


def _small() -> Iterator[Recipe]:
    """Ours: what the dynamic ones are compared with."""
    for benchmark in ("cifar10", "cifar100"):
        place = "RDI-Net's set-up on a smaller network"
        source = Source(paper="ours", place=place)
        recipe = _stepped("resnet20-cifar", benchmark, source)
        yield recipe
        yield short(recipe)
        if benchmark == "cifar10":
            yield finetuned(recipe)
    source = Source(paper="ours", place="RDI-Net's set-up on another network, for cascades")
    recipe = _stepped("resnet56-cifar", "cifar10", source)
    yield recipe
    yield finetuned(recipe)
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
        Source(paper="CDB", place=place),
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
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=source,
        objective={"classification": CrossEntropyConfig()},
        phases=(phase,),
        optimizer=optimizer,
        variant=variant,
    )
    return PRINT.credited(recipe)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        *_baselines(),
        *_small(),
        *(_context(*run) for run in CONTEXT_BASELINES),
        *(_start(f"resnet{layers}-cifar") for layers in (18, 50, 101)),
    )
}
