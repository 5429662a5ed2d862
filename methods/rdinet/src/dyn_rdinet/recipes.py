"""RDI-Net's training set-ups, one per printed row and point, and a sweep of target rates.

A variant names the modules that are on, of USW (warm-up), R-R (relational router) and SRM (ranking
loss), and then what is changed: ``vanilla`` (none), ``usw``, ``usw-rr``, ``rr-gamma0.25``. Without
names of modules all three are on. ``short`` is ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dyn_rdinet.losses import RankingConfig
from dyn_rdinet.method import METHOD
from dyn_rdinet.router import RelationalRouterConfig
from dyncore.gating import InitialWeights, RouterConfig, ShortRangeRouterConfig
from dyncore.objectives import CrossEntropyConfig, ExecutionRateConfig, ObjectiveConfig
from dyncore.recipes import (
    ON_DIGITS,
    STEP_PHASES,
    Change,
    Phase,
    Print,
    Recipe,
    Source,
    Variant,
    changed,
    make_recipe,
    narrowed,
    short,
    tuned,
    with_settings,
)

PRINT = Print.of("dyn_rdinet")

INITIAL_WEIGHTS: dict[str, InitialWeights] = {
    "cifar10": "he",
    "cifar100": "he",
    "imagenet": "torch",
    "digits": "he",
}
"""Of routers and gates, by benchmark: as the authors' public code has them."""

WARM_UP_EPOCHS = {"cifar10": 30.0, "cifar100": 30.0, "imagenet": 10.0, "digits": 3.0}
"""Epochs of USW (section 4.1; digits: ours, in the same proportion to the main phase)."""

BUDGETS = (0.2, 0.4, 0.5, 0.6, 0.8, 0.9)
"""Target rates t of the sweeps of Figure 5, whose t is not printed."""

PRINTED_BUDGETS = {
    ("resnet110-cifar", 0.25): 0.48,
    ("resnet110-cifar", 0.26): 0.5,
    ("resnet110-cifar", 0.27): 0.52,
    ("resnet110-cifar", 0.28): 0.54,
    ("resnet110-cifar", 0.29): 0.56,
    ("resnet110-cifar", 0.30): 0.58,
    ("resnet110-cifar", 0.31): 0.6,
    ("resnet110-cifar", 0.35): 0.68,
    ("resnet50", 6.62): 0.78,
    ("resnet101", 11.4): 0.71,
}
"""(backbone, printed GFLOPs) → target rate t that costs as much.

No t is printed. RDI-Net counts 2 FLOPs per MAC, so t = (printed / 2 − always) / gated, both in
GMACs of the cost table, rounded to 2 decimals: what remains of the printed cost after stem,
head, shortcuts and routers, as a share of all gated blocks. A test computes each of them again.
"""


@dataclass(frozen=True, kw_only=True)
class Modules:
    """The three switches of Table 2."""

    usw: bool = True
    """Begin with the uniform-sampling warm-up."""
    router: RouterConfig = RelationalRouterConfig()
    """R-R: the relational router; off: the short-range one."""
    srm: RankingConfig | None = RankingConfig()
    """The ranking loss; None: off."""


ALL_ON = Modules()

MORE_RANKING = Change(
    "with the paper's α = 0.2 a short run leaves few distinct paths",
    lambda recipe: with_settings(recipe, {"objective.rank.weight": 0.3}),
)
SHORT = Variant("short", (*short.changes, MORE_RANKING))


def _recipe(
    backbone: str,
    benchmark: str,
    budget: float,
    source: Source,
    variant: str = "",
    modules: Modules = ALL_ON,
) -> Recipe:
    objective: dict[str, ObjectiveConfig] = {
        "classification": CrossEntropyConfig(),
        "rate": ExecutionRateConfig(target=budget),
    }
    if modules.srm is not None:
        objective["rank"] = modules.srm
    warm_up = Phase(
        name="warm-up",
        epochs=WARM_UP_EPOCHS[benchmark],
        paths="uniform",
        objective=("classification",),
    )
    main, weights = STEP_PHASES[benchmark], INITIAL_WEIGHTS[benchmark]
    recipe = make_recipe(
        METHOD,
        backbone,
        benchmark,
        source=source,
        objective=objective,
        phases=(warm_up, main) if modules.usw else (main,),
        router=modules.router,
        budget=budget,
        variant=variant,
    )
    start = {f"network.{part}.initial_weights": weights for part in ("router", "gate")}
    return PRINT.credited(with_settings(recipe, start))


def _sweeps() -> Iterator[Recipe]:
    """Figure 5, and the networks that it does not show."""
    for backbone, benchmark, place in (
        ("resnet110-cifar", "cifar10", "Figure 5(a)"),
        ("resnet110-cifar", "cifar100", "Figure 5(b)"),
        ("resnet50", "imagenet", "Figure 5(c)"),
        ("resnet101", "imagenet", "Figure 6(c)"),
        ("resnet32-cifar", "cifar10", "section 4.1, no result printed"),
        ("resnet32-cifar", "cifar100", "section 4.1, no result printed"),
    ):
        source = Source(paper="RDI-Net", place=place)
        for budget in BUDGETS:
            yield _recipe(backbone, benchmark, budget, source)


def _printed(
    backbone: str,
    benchmark: str,
    gflops: float,
    place: str,
    variant: str = "",
    modules: Modules = ALL_ON,
) -> Recipe:
    source = Source(paper="RDI-Net", place=f"{place}: {gflops} GFLOPs")
    budget = PRINTED_BUDGETS[backbone, gflops]
    return _recipe(backbone, benchmark, budget, source, variant, modules)


def _quoted() -> Iterator[Recipe]:
    """Results of Figure 6 that section 4.2 quotes."""
    yield _printed("resnet110-cifar", "cifar100", 0.35, "Figure 6(b), section 4.2")
    yield _printed("resnet50", "imagenet", 6.62, "Figure 6(c), section 4.2")
    yield _printed("resnet101", "imagenet", 11.4, "Figure 6(c), section 4.2")


def _modules() -> Iterator[Recipe]:
    """Table 2: the modules, one after the other."""
    rows = (
        ("vanilla", Modules(usw=False, router=ShortRangeRouterConfig(), srm=None)),
        ("usw", Modules(router=ShortRangeRouterConfig(), srm=None)),
        ("usw-rr", Modules(srm=None)),
        ("usw-rr-srm", ALL_ON),
    )
    costs = {"cifar10": (0.30, 0.28, 0.31, 0.25), "cifar100": (0.29, 0.27, 0.30, 0.26)}
    for benchmark, column in costs.items():
        for row, (gflops, (variant, modules)) in enumerate(zip(column, rows, strict=True), 1):
            place = f"Table 2, row {row}"
            yield _printed("resnet110-cifar", benchmark, gflops, place, variant, modules)


def _relations() -> Iterator[Recipe]:
    """Table 3 and Figure 7(a): the router's edges and history, without USW and SRM."""
    rows = [
        (0.30, "Table 3, γ = 1.0", "gamma1", RelationalRouterConfig(decay=1.0)),
        (0.31, "Table 3, γ = 0.5", "gamma0.5", RelationalRouterConfig(decay=0.5)),
        (0.27, "Table 3, γ = 0.25", "gamma0.25", RelationalRouterConfig(decay=0.25)),
        (0.30, "Table 3, γ = 0.0", "gamma0", RelationalRouterConfig(decay=0.0)),
        (0.28, "Table 3, Auto", "auto", RelationalRouterConfig(edges="cosine")),
    ]
    rows += [
        (0.30, f"Figure 7(a), r = {r}", f"r{r}", RelationalRouterConfig(history=r))
        for r in range(9)
    ]
    for gflops, place, variant, router in rows:
        modules = Modules(usw=False, router=router, srm=None)
        yield _printed("resnet110-cifar", "cifar10", gflops, place, f"rr-{variant}", modules)


def _ranking_weights() -> Iterator[Recipe]:
    """Figure 7(b). Of its points only α = 0.2 is printed, with a cost of 0.26 GFLOPs."""
    for alpha in (0.1, 0.2, 0.3, 0.4, 0.5):
        place, modules = f"Figure 7(b), α = {alpha}", Modules(srm=RankingConfig(weight=alpha))
        yield _printed("resnet110-cifar", "cifar10", 0.26, place, f"alpha{alpha}", modules)


def _rows() -> Iterator[Recipe]:
    """All of the paper, as printed and tuned."""
    for rows in (_sweeps, _quoted, _modules, _relations, _ranking_weights):
        for recipe in rows():
            yield recipe
            yield tuned(recipe)


def _small() -> Iterator[Recipe]:
    """Ours: a smaller network."""
    place = "RDI-Net's set-up on a smaller network"
    source = Source(paper="ours", place=place)
    for budget in BUDGETS:
        for benchmark in ("cifar10", "cifar100"):
            recipe = _recipe("resnet20-cifar", benchmark, budget, source)
            yield recipe
            yield SHORT(recipe)
        digits = replace(source, place=f"{place}, on digits")
        recipe = _recipe("resnet20-cifar", "digits", budget, digits)
        yield changed(recipe, narrowed(32), *ON_DIGITS)


RECIPES = {recipe.name: recipe for recipes in (_rows, _small) for recipe in recipes()}
