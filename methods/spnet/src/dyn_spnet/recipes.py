"""SP-Net's training set-ups, one per printed row and point, and a sweep of target rates.

A variant names the components of Table 3 that are on, ``baseline`` (none), ``a``, ``ab`` or
``abc``, or what is changed: ``m0.5`` (momentum), ``evolution-blocks`` (strategy). Without a variant
all three are on, with the momentum that is best on the data set.
"""

from collections.abc import Iterator
from dataclasses import replace

from dyn_spnet.evolution import EvolutionConfig, Strategy
from dyn_spnet.losses import SlowProgressConfig
from dyn_spnet.method import METHOD
from dyn_spnet.twin import TwinConfig
from dyncore.gating import ShortRangeRouterConfig
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig, ObjectiveConfig
from dyncore.training import (
    GATED_SGD,
    SHORT_ANNEALING,
    STEP_PHASES,
    Recipe,
    Source,
    Steps,
    make_recipe,
)

BUDGETS = (0.2, 0.4, 0.6, 0.8, 0.9)
"""Target rates t of Figure 4 (section 4.3)."""

TABLES_BUDGET = 0.8
"""t of Tables 3 to 5: section 4.3 prints it beside CIFAR-100 results that are Table 3's."""

MOMENTUM = {"cifar10": 0.7, "cifar100": 0.6, "imagenet": 0.7, "digits": 0.7}
"""The best m of Table 4; ImageNet and digits: as CIFAR-10."""

TABLED = {
    ("cifar10", 0.2, ""): "Table 1, SP-Net (light)",
    ("cifar10", 0.8, ""): "Table 1, SP-Net",
    ("imagenet", 0.6, ""): "Table 2, SP-Net (light)",
    ("imagenet", 0.8, ""): "Table 2, SP-Net",
    ("cifar10", 0.8, "baseline"): "Table 3, Baseline",
    ("cifar100", 0.8, "baseline"): "Table 3, Baseline",
}
"""(benchmark, t, variant) of points of Figure 4 that are also rows of a table.

Tables 1 and 2 print no t. Their costs ask for execution rates of 0.89 and 0.24, 0.93 and 0.69; on
CIFAR, where t is printed, rates lie up to 0.1 above it.
"""

PHASES = STEP_PHASES | {
    "imagenet": replace(
        STEP_PHASES["imagenet"], epochs=120.0, schedule=Steps(milestones=(30.0, 60.0, 90.0))
    )
}
"""Section 4.1; digits and the temperature of the gates: ours."""

ROUTERS = {"digits": ShortRangeRouterConfig(dim=32)}
"""Narrower for 8×8 images, of whose network routers of width 256 would cost a quarter."""

COLDER = replace(SHORT_ANNEALING, start=8.0)
"""On ResNet-20 gates start colder than those of other methods: 16 takes 2 points of accuracy
(docs/results.md)."""

SHORT_EXITS = 0.2
"""Weight of early exits in short runs: at 1 they take 3 points of accuracy (docs/results.md)."""

NOT_PRINTED = (
    "t of tables: section 4.3; router: RDI-Net's without relations; augmentation: CDB section 4; "
    "m but on CIFAR, weight of the rate cost, temperatures, statistics of the twin's norms: ours"
)


def _progress(benchmark: str, momentum: float | None = None) -> SlowProgressConfig:
    """Everything on, by default with the momentum that is best on the data set."""
    return SlowProgressConfig(twin=TwinConfig(momentum=momentum or MOMENTUM[benchmark]))


def _recipe(
    backbone: str,
    benchmark: str,
    place: str,
    progress: SlowProgressConfig | None,
    variant: str = "",
    *,
    budget: float = TABLES_BUDGET,
    paper: str = "SP-Net",
) -> Recipe:
    objective: dict[str, ObjectiveConfig] = {
        "classification": CrossEntropyConfig(),
        "rate": ExecutionRateConfig(target=budget),
    }
    if progress is not None:
        objective["progress"] = progress
    phase = PHASES[benchmark]
    if backbone == "resnet20-cifar":
        phase = replace(phase, annealing=COLDER)
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=Source(paper=paper, place=place, borrowed=NOT_PRINTED),
        objective=objective,
        phases=(phase,),
        optimizer=GATED_SGD,
        batch_size=128 if benchmark == "imagenet" else None,
        router=ROUTERS.get(benchmark),
        budget=budget,
        variant=variant,
    )


def _figure_4() -> Iterator[Recipe]:
    """SP-Net and its baseline over t."""
    for backbone, benchmark in (
        ("resnet110-cifar", "cifar10"),
        ("resnet110-cifar", "cifar100"),
        ("resnet50", "imagenet"),
    ):
        for variant, progress in (("", _progress(benchmark)), ("baseline", None)):
            for t in BUDGETS:
                places = (TABLED.get((benchmark, t, variant)), f"Figure 4, {benchmark}, t = {t}")
                place = "; ".join(filter(None, places))
                yield _recipe(backbone, benchmark, place, progress, variant, budget=t)


def _others() -> Iterator[Recipe]:
    """The networks that Figure 4 does not show; and a smaller one, which is ours."""
    unprinted, small = "section 4.1, no result printed", "SP-Net's set-up on a smaller network"
    for backbone, benchmark, paper, place in (
        ("resnet32-cifar", "cifar10", "SP-Net", unprinted),
        ("resnet32-cifar", "cifar100", "SP-Net", unprinted),
        ("resnet101", "imagenet", "SP-Net", unprinted),
        ("resnet20-cifar", "cifar10", "ours", small),
        ("resnet20-cifar", "digits", "ours", small),
    ):
        progress = _progress(benchmark)
        if backbone == "resnet20-cifar":
            progress = replace(progress, exits_weight=SHORT_EXITS)
        for t in BUDGETS:
            yield _recipe(backbone, benchmark, place, progress, budget=t, paper=paper)


def _table_3() -> Iterator[Recipe]:
    """The components, one after the other."""
    for benchmark in ("cifar10", "cifar100"):
        full = _progress(benchmark)
        for row, variant, progress in (
            (1, "a", replace(full, exits=False, evolution=None)),
            (2, "ab", replace(full, evolution=None)),
            (3, "abc", full),
        ):
            place = f"Table 3, EXP-{row}"
            yield _recipe("resnet110-cifar", benchmark, place, progress, variant)


def _table_4() -> Iterator[Recipe]:
    """The momentum coefficient."""
    for benchmark in ("cifar10", "cifar100"):
        for row, m in enumerate((0.5, 0.6, 0.7, 0.8), 1):
            place, progress = f"Table 4, EXP-{row}", _progress(benchmark, m)
            yield _recipe("resnet110-cifar", benchmark, place, progress, f"m{m}")


def _table_5() -> Iterator[Recipe]:
    """The strategies; with m = 0.7 also on CIFAR-100, where EXP-3 is EXP-3 of Table 4."""
    strategies: tuple[Strategy, ...] = ("blocks", "resolution", "stages")
    for benchmark in ("cifar10", "cifar100"):
        for row, strategy in enumerate(strategies, 1):
            evolution = EvolutionConfig(strategy=strategy)
            progress = replace(_progress(benchmark, 0.7), evolution=evolution)
            place, variant = f"Table 5, EXP-{row}", f"evolution-{strategy}"
            yield _recipe("resnet110-cifar", benchmark, place, progress, variant)


RECIPES = {
    recipe.name: recipe
    for recipes in (_figure_4, _others, _table_3, _table_4, _table_5)
    for recipe in recipes()
}
