"""DMNN's set-ups with parts of other papers, which are found by their names.

A variant names the parts that are mixed in: ``relational``, RDI-Net's router;
``relational-slow-progress``, SP-Net's objective as well. ``short`` is DMNN's.
"""

from collections.abc import Iterator
from dataclasses import replace

from dyncore.gating import RouterConfig
from dyncore.objectives import ObjectiveConfig
from dyncore.parts import look_up, part_config
from dyncore.recipes import (
    ContextRow,
    Recipe,
    Source,
    context_recipes,
    context_short,
    settings,
)
from dyncore.registry import Method

DMNN: Method = look_up("methods", "dmnn")

RELATIONAL: RouterConfig = part_config("routers", {"name": "relational", "dim": 32})
"""As wide as the routers of DMNN that it replaces."""

SLOW_PROGRESS: ObjectiveConfig = part_config(
    "objectives", {"name": "slow-progress", "twin": {"path_weight": 0.1}}
)
"""Twin, exits and feature evolution. The weight α of the paths is a tenth of SP-Net's (ours): hard
decisions of straight-through gates differ by 0 or 1, and at α = 1 images soon share a few paths."""

SETUPS = context_recipes(
    DMNN, "DMNN", [ContextRow("Table 1", "DMNN-50", "resnet50", "imagenet", 2, 0.7)], printed=None
)

MIXED = (
    "dmnn-resnet20-n2-digits-b0.6",
    "dmnn-resnet20-n2-cifar10-b0.6",
    "dmnn-resnet50-n2-imagenet-b0.7",
)
"""The recipes of DMNN that are mixed with other parts: what they are compared with."""


def _mixtures(plain: Recipe) -> Iterator[Recipe]:
    """Both mixtures, each a change of the one before it."""
    relational = replace(
        plain,
        name=f"{plain.name}-relational",
        source=_source(plain, "RDI-Net's router (section 3.2)"),
        network=replace(plain.network, router=_router(plain)),
    )
    yield relational
    yield replace(
        relational,
        name=f"{relational.name}-slow-progress",
        source=_source(
            plain, "RDI-Net's router (section 3.2), SP-Net's objective (section 3; α: ours)"
        ),
        objective={**relational.objective, "progress": SLOW_PROGRESS},
    )


def _router(plain: Recipe) -> RouterConfig:
    """RDI-Net's router, which starts and is normed as the recipe's own."""
    own = settings(plain)
    alike = {name: own[f"network.router.{name}"] for name in ("initial_weights", "norm")}
    return replace(RELATIONAL, **alike)


def _source(plain: Recipe, parts: str) -> Source:
    place, borrowed = f"DMNN with {parts}", f"all else: {plain.name}"
    return replace(plain.source, paper="ours", place=place, borrowed=borrowed)


def _recipes() -> Iterator[Recipe]:
    for name in MIXED:
        for recipe in _mixtures(SETUPS[name]):
            yield recipe
            if f"{name}-{context_short.name}" in SETUPS:
                yield context_short(recipe)


RECIPES = {recipe.name: recipe for recipe in _recipes()}
