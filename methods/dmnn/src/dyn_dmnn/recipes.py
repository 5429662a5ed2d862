"""DMNN's training set-ups, one per row of its tables, and small ones that are ours."""

from collections.abc import Iterator

from dyn_dmnn.method import METHOD
from dyncore.training import Recipe, Source, make_context_recipe

TABLES = (
    ("Table 1", "DMNN-50", "resnet50", 2, (0.4, 0.5, 0.6, 0.7)),
    ("Table 1", "DMNN-50", "resnet50", 3, (0.7,)),
    ("Table 1", "DMNN-50", "resnet50", 4, (0.7,)),
    ("Table 1", "DMNN-101", "resnet101", 2, (0.3, 0.5, 0.7)),
    ("Table 2", "DMNN-MobileNetV2", "mobilenetv2", 2, (0.7, 0.8, 0.9)),
    ("Table 2", "DMNN-MobileNetV2 (1.4)", "mobilenetv2-1.4", 2, (0.7, 0.8, 0.9)),
    ("Table 3", "DMNN-50", "resnet50-cifar2", 2, (0.5, 0.7)),
    ("Table 3", "DMNN-50", "resnet50-cifar2", 4, (0.7,)),
)
"""Table, model, backbone, number N of sub-blocks, target rates r (in Table 3 t)."""

SWITCHES = (
    ("neither", "no-prev-no-cat", False, False),
    ("PREV", "no-cat", True, False),
    ("CAT", "no-prev", False, True),
    ("PREV and CAT", "prev-cat", True, True),
)
"""Rows of Table 4: DMNN-50 with N = 2 and r = 0.7; variant, PREV, CAT. Table 1 has the last too."""

SMALL = (
    ("resnet20-cifar", "cifar10"),
    ("resnet20-cifar", "cifar100"),
    ("resnet20-cifar", "digits"),
    ("resnet110-cifar", "cifar10"),
    ("resnet110-cifar", "cifar100"),
)
"""(backbone, benchmark) of ours, at the target rates of DMNN-50."""

BORROWED = (
    "sub-block widths: CDB Table 1, for N = 4 ours; τ, members of the 58 categories, weights of "
    "the category loss but on ResNet-50 and -101, CIFAR-100's stem: ours"
)


def _tables() -> Iterator[Recipe]:
    """Tables 1 to 3: two sizes of network on ImageNet, and CIFAR-100."""
    for table, model, backbone, paths, budgets in TABLES:
        benchmark, symbol = ("cifar100", "t") if table == "Table 3" else ("imagenet", "r")
        for budget in budgets:
            place = f"{table}, {model}, N = {paths}, {symbol} = {budget}"
            yield make_context_recipe(
                METHOD,
                backbone,
                benchmark,
                paths=paths,
                budget=budget,
                source=Source(paper="DMNN", place=place, borrowed=BORROWED),
            )


def _switches() -> Iterator[Recipe]:
    """Table 4: what the controller looks at, and what it is taught."""
    for row, variant, previous, category in SWITCHES:
        yield make_context_recipe(
            METHOD,
            "resnet50",
            "imagenet",
            paths=2,
            budget=0.7,
            source=Source(paper="DMNN", place=f"Table 4, {row}", borrowed=BORROWED),
            variant=variant,
            previous=previous,
            category=category,
        )


def _small() -> Iterator[Recipe]:
    """DMNN's set-up on basic blocks split in two."""
    place = "DMNN's set-up on a smaller network"
    for backbone, benchmark in SMALL:
        for budget in TABLES[0][-1]:
            yield make_context_recipe(
                METHOD,
                backbone,
                benchmark,
                paths=2,
                budget=budget,
                source=Source(paper="ours", place=place, borrowed=BORROWED),
            )


RECIPES = {
    recipe.name: recipe for recipes in (_tables, _switches, _small) for recipe in recipes()
}
