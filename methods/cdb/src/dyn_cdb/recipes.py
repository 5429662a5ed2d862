"""CDB's training set-ups: Tables 2 to 5, and the same on small networks, which is ours."""

from dyn_cdb.method import METHOD
from dyncore.training import Recipe, Source, make_context_recipe

BORROWED = (
    "channel groups of N = 4 are 24 wide at stage 1; τ, members of the 58 categories, weights of "
    "the category loss but on ResNet-50 and -101, CIFAR-100's stem: ours"
)


def _recipe(
    place: str,
    backbone: str,
    benchmark: str,
    paths: int,
    budget: float,
    *,
    paper: str = "CDB",
    variant: str = "",
    ca: bool = True,
    cs: bool = True,
) -> Recipe:
    return make_context_recipe(
        METHOD,
        backbone,
        benchmark,
        paths=paths,
        budget=budget,
        source=Source(paper=paper, place=place, borrowed=BORROWED),
        variant=variant,
        previous=ca,
        category=cs,
    )


TABLE_2 = [
    *(_recipe(f"Table 2, CDB-50, N = 2, r = {r}", "resnet50", "imagenet", 2, r) for r in (0.4, 0.5, 0.6, 0.7)),
]
