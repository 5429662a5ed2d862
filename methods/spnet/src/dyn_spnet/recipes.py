"""SP-Net's training set-ups, one per printed row and point, and a sweep of target rates.

A variant names the components of Table 3 that are on, ``baseline`` (none), ``a``, ``ab`` or
``abc``, or what is changed: ``m0.5`` (momentum), ``evolution-blocks`` (strategy). Without a variant
all three are on, with the momentum that is best on the data set. ``short`` is ours.
"""

from collections.abc import Iterator
from dataclasses import replace

from dyn_spnet.evolution import EvolutionConfig, Strategy
from dyn_spnet.losses import SlowProgressConfig
from dyn_spnet.method import METHOD
from dyn_spnet.twin import TwinConfig
from dyncore.gating import ShortRangeRouterConfig
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig, ObjectiveConfig
from dyncore.recipes import (
    ON_DIGITS,
    SHORT_ANNEALING,
    STEP_PHASES,
    Change,
    Recipe,
    Source,
    Steps,
    Variant,
    annealed,
    changed,
    make_recipe,
    narrowed,
    short,
    tuned,
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
"""Section 4.1; digits: ours."""


def _lighten_exits(recipe: Recipe) -> Recipe:
    progress = recipe.objective["progress"]
    assert isinstance(progress, SlowProgressConfig)
    light = replace(progress, exits_weight=0.2)
    return replace(recipe, objective={**recipe.objective, "progress": light})


LIGHT_EXITS = Change(
    "at weight 1 early exits cost accuracy in a short run",
    _lighten_exits,
)
COLDER = annealed(
    replace(SHORT_ANNEALING, start=8.0),
    "a start at 16 costs accuracy here",
)
SHORT = Variant("short", (*short.changes, COLDER, LIGHT_EXITS))

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
    return make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=Source(paper=paper, place=place, borrowed=NOT_PRINTED),
        objective=objective,
        phases=(PHASES[benchmark],),
        batch_size=128 if benchmark == "imagenet" else None,
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
    """The networks that Figure 4 does not show."""
    for backbone, benchmark in (
        ("resnet32-cifar", "cifar10"),
        ("resnet32-cifar", "cifar100"),
        ("resnet101", "imagenet"),
    ):
        place, progress = "section 4.1, no result printed", _progress(benchmark)
        for t in BUDGETS:
            yield _recipe(backbone, benchmark, place, progress, budget=t)


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


def _rows() -> Iterator[Recipe]:
    """All of the paper, with our changes, which the sources say."""
    for rows in (_figure_4, _others, _table_3, _table_4, _table_5):
        for recipe in rows():
            yield changed(recipe, *tuned.changes)


def _small() -> Iterator[Recipe]:
    """Ours: a smaller network."""
    place = "SP-Net's set-up on a smaller network"

    def recipe(benchmark: str, place: str, t: float) -> Recipe:
        progress = _progress(benchmark)
        return _recipe("resnet20-cifar", benchmark, place, progress, budget=t, paper="ours")

    for t in BUDGETS:
        as_printed = recipe("cifar10", place, t)
        yield as_printed
        yield SHORT(as_printed)
        on_digits = recipe("digits", f"{place}, on digits", t)
        yield changed(on_digits, narrowed(ShortRangeRouterConfig(dim=32)), *ON_DIGITS, LIGHT_EXITS)


RECIPES = {recipe.name: recipe for recipes in (_rows, _small) for recipe in recipes()}
