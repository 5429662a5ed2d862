"""SP-Net's training set-ups, one per printed row and point, and a sweep of target rates.

A variant names the components of Table 3 that are on, ``baseline`` (none), ``a``, ``ab`` or
``abc``, or what is changed: ``m0.5`` (momentum), ``evolution-blocks`` (strategy), ``printed-t``
(the target rate that is printed, not the one that costs what is printed). Without a variant all
three are on, with the momentum that is best on the data set. ``tuned`` and ``short`` are ours.
"""

from collections.abc import Iterator
from dataclasses import replace

from dyn_spnet.evolution import EvolutionConfig, Strategy
from dyn_spnet.losses import SlowProgressConfig
from dyn_spnet.method import METHOD
from dyn_spnet.twin import TwinConfig
from dyncore.gating import GumbelSoftmaxGateConfig, InitialWeights, ShortRangeRouterConfig
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig, ObjectiveConfig
from dyncore.recipes import (
    ON_DIGITS,
    SHORT_ANNEALING,
    Change,
    Cosine,
    Phase,
    Print,
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
    with_settings,
)

PRINT = Print.of("dyn_spnet")

BUDGETS = (0.2, 0.4, 0.6, 0.8, 0.9)
"""Target rates t of Figure 4 (section 4.3)."""

PRINTED_BUDGETS = {
    ("resnet110-cifar", 0.11): 0.2,
    ("resnet110-cifar", 0.13): 0.24,
    ("resnet110-cifar", 0.14): 0.26,
    ("resnet110-cifar", 0.19): 0.36,
    ("resnet110-cifar", 0.21): 0.4,
    ("resnet110-cifar", 0.45): 0.87,
    ("resnet110-cifar", 0.46): 0.89,
    ("resnet110-cifar", 0.47): 0.91,
    ("resnet110-cifar", 0.48): 0.93,
    ("resnet110-cifar", 0.49): 0.95,
    ("resnet110-cifar", 0.5): 0.97,
    ("resnet50", 5.62): 0.69,
    ("resnet50", 7.24): 0.93,
}
"""(backbone, printed GMACCs) → target rate t that costs as much.

The tables print no t. t = (printed / 2 − always) / gated, both in GMACs of the cost table, to 2
decimals: as in RDI-Net. The ResNet-50 of Table 2 costs 7.72 GMACCs, ours 8.18: what is printed
beside it is scaled by that. A test computes each of them again.
"""

MOMENTUM = {"cifar10": 0.7, "cifar100": 0.6, "imagenet": 0.7, "digits": 0.7}
"""The best m of Table 4; ImageNet and digits: as CIFAR-10."""

INITIAL_WEIGHTS: dict[str, InitialWeights] = {
    "cifar10": "he",
    "cifar100": "he",
    "imagenet": "torch",
    "digits": "he",
}
"""Of routers and gates, by benchmark: as the authors' public code has them."""

INITIAL_BIASES = (0.1, 2.0)
"""Of gates (off, on), in the authors' public code: at first they are on for most images."""


def _train(epochs: float, *milestones: float) -> Phase:
    return Phase(name="train", epochs=epochs, schedule=Steps(milestones=milestones))


PHASES = {
    "cifar10": _train(320.0, 150.0, 250.0),
    "cifar100": _train(320.0, 150.0, 250.0),
    "imagenet": _train(120.0, 30.0, 60.0, 90.0),
    "digits": Phase(name="train", epochs=30.0, schedule=Cosine()),
}
"""Section 4.1; digits: ours."""

LIGHT_EXITS = Change(
    "at weight 1 early exits cost accuracy in a short run",
    lambda recipe: with_settings(recipe, {"objective.progress.exits_weight": 0.2}),
)
COLDER = annealed(
    replace(SHORT_ANNEALING, start=8.0),
    "a start at 16 costs accuracy here",
)
SHORT = Variant("short", (*short.changes, COLDER, LIGHT_EXITS))


def _progress(benchmark: str, momentum: float | None = None) -> SlowProgressConfig:
    """Everything on, by default with the momentum that is best on the data set."""
    m = MOMENTUM[benchmark] if momentum is None else momentum
    return SlowProgressConfig(twin=TwinConfig(momentum=m))


def _recipe(
    backbone: str,
    benchmark: str,
    place: str,
    progress: SlowProgressConfig | None,
    variant: str = "",
    *,
    budget: float,
    paper: str = "SP-Net",
) -> Recipe:
    objective: dict[str, ObjectiveConfig] = {
        "classification": CrossEntropyConfig(),
        "rate": ExecutionRateConfig(target=budget),
    }
    if progress is not None:
        objective["progress"] = progress
    weights = INITIAL_WEIGHTS[benchmark]
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=Source(paper=paper, place=place),
        objective=objective,
        phases=(PHASES[benchmark],),
        batch_size=128 if benchmark == "imagenet" else None,
        router=ShortRangeRouterConfig(initial_weights=weights),
        gate=GumbelSoftmaxGateConfig(initial_weights=weights, initial_biases=INITIAL_BIASES),
        budget=budget,
        variant=variant,
    )
    return PRINT.credited(recipe)


def _printed(
    backbone: str,
    benchmark: str,
    gmaccs: float,
    place: str,
    progress: SlowProgressConfig | None,
    variant: str = "",
) -> Recipe:
    """A row of which a cost is printed."""
    budget = PRINTED_BUDGETS[backbone, gmaccs]
    place = f"{place}: {gmaccs} GMACCs"
    return _recipe(backbone, benchmark, place, progress, variant, budget=budget)


def _tables_1_and_2() -> Iterator[Recipe]:
    """The two results on CIFAR-10 and on ImageNet."""
    for backbone, benchmark, table, gmaccs, light in (
        ("resnet110-cifar", "cifar10", "Table 1", 0.46, 0.13),
        ("resnet50", "imagenet", "Table 2", 7.24, 5.62),
    ):
        full = _progress(benchmark)
        yield _printed(backbone, benchmark, gmaccs, f"{table}, SP-Net", full)
        yield _printed(backbone, benchmark, light, f"{table}, SP-Net (light)", full)


FIGURE_4 = {
    ("cifar10", "", 0.2): 0.14,
    ("cifar10", "baseline", 0.2): 0.11,
    ("cifar10", "", 0.4): 0.21,
    ("cifar10", "baseline", 0.4): 0.19,
    ("cifar100", "", 0.8): 0.46,
    ("cifar100", "baseline", 0.8): 0.46,
}
"""(benchmark, variant, printed t) → GMACCs, of the points that section 4.3 prints."""

ALSO_TABLE_3 = ("cifar100", "baseline", 0.8)
"""The one of them that has the cost of a table's row, and is it."""


def _figure_4() -> Iterator[Recipe]:
    """SP-Net and its baseline over t.

    Points that are only drawn have the printed t. Those whose cost is printed, too, have two
    recipes where that asks for another t: ``printed-t`` has the printed one.
    """
    for backbone, benchmark in (
        ("resnet110-cifar", "cifar10"),
        ("resnet110-cifar", "cifar100"),
        ("resnet50", "imagenet"),
    ):
        for variant, progress in (("", _progress(benchmark)), ("baseline", None)):
            for t in BUDGETS:
                place = f"Figure 4, {benchmark}, t = {t}"
                gmaccs = FIGURE_4.get((benchmark, variant, t))
                name = variant
                if gmaccs is not None:
                    also = (benchmark, variant, t) == ALSO_TABLE_3
                    row = f"Table 3, Baseline; {place}" if also else place
                    yield _printed(backbone, benchmark, gmaccs, row, progress, variant)
                    if PRINTED_BUDGETS[backbone, gmaccs] == t:
                        continue
                    name = "-".join(filter(None, (variant, "printed-t")))
                yield _recipe(backbone, benchmark, place, progress, name, budget=t)


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


def _ablation(
    benchmark: str, gmaccs: float, place: str, progress: SlowProgressConfig | None, variant: str
) -> Recipe:
    return _printed("resnet110-cifar", benchmark, gmaccs, place, progress, variant)


def _table_3() -> Iterator[Recipe]:
    """The components, one after the other."""
    costs = {"cifar10": (0.47, 0.48, 0.47, 0.46), "cifar100": (0.46, 0.47, 0.46, 0.46)}
    for benchmark, (none, a, ab, abc) in costs.items():
        full = _progress(benchmark)
        only_a = replace(full, exits=False, evolution=None)
        if benchmark != ALSO_TABLE_3[0]:
            yield _ablation(benchmark, none, "Table 3, Baseline", None, "baseline")
        yield _ablation(benchmark, a, "Table 3, EXP-1", only_a, "a")
        yield _ablation(benchmark, ab, "Table 3, EXP-2", replace(full, evolution=None), "ab")
        yield _ablation(benchmark, abc, "Table 3, EXP-3", full, "abc")


def _table_4() -> Iterator[Recipe]:
    """The momentum coefficient."""
    costs = {"cifar10": (0.47, 0.46, 0.46, 0.47), "cifar100": (0.46, 0.46, 0.45, 0.45)}
    for benchmark, column in costs.items():
        for row, (m, gmaccs) in enumerate(zip((0.5, 0.6, 0.7, 0.8), column, strict=True), 1):
            progress = _progress(benchmark, m)
            yield _ablation(benchmark, gmaccs, f"Table 4, EXP-{row}", progress, f"m{m}")


def _table_5() -> Iterator[Recipe]:
    """The strategies; with m = 0.7 also on CIFAR-100, where EXP-3 is EXP-3 of Table 4."""
    strategies: tuple[Strategy, ...] = ("blocks", "resolution", "stages")
    costs = {"cifar10": (0.48, 0.49, 0.46), "cifar100": (0.5, 0.49, 0.46)}
    for benchmark, column in costs.items():
        for row, (strategy, gmaccs) in enumerate(zip(strategies, column, strict=True), 1):
            evolution = EvolutionConfig(strategy=strategy)
            progress = replace(_progress(benchmark, 0.7), evolution=evolution)
            place, variant = f"Table 5, EXP-{row}", f"evolution-{strategy}"
            yield _ablation(benchmark, gmaccs, place, progress, variant)


def _rows() -> Iterator[Recipe]:
    """All of the paper, as printed and tuned."""
    for rows in (_tables_1_and_2, _figure_4, _others, _table_3, _table_4, _table_5):
        for recipe in rows():
            yield recipe
            yield tuned(recipe)


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
        yield changed(on_digits, narrowed(32), *ON_DIGITS)


RECIPES = {recipe.name: recipe for recipes in (_rows, _small) for recipe in recipes()}
