"""A method on a backbone, for data of one's own: what no paper has, and no package lists."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dyncore.adopt import IMAGENET, PACKAGES, AdoptedConfig, build_library
from dyncore.backbones import BACKBONES, BackboneConfig, backbone_config
from dyncore.data import RandomResizedCropFlip
from dyncore.objectives import ExecutionRateConfig, FlopsRatioConfig
from dyncore.parts import look_up
from dyncore.recipes._benchmarks import BENCHMARKS
from dyncore.recipes._change import Change, changed
from dyncore.recipes._installed import recipes
from dyncore.recipes._means import with_means
from dyncore.recipes._optimizer import SGD
from dyncore.recipes._recipe import Recipe, Source
from dyncore.registry import Method

BUDGET = 0.6
"""Of gated networks, where none is given."""
SIZE = 224
"""Pixels, where none are given."""
MEANS = ("finetuned", "shared", "open", "hard", "opening", "calm", "sandwich")
"""By which trained weights learn to be routed; measured with every method (docs/results.md)."""
SIMILAR = ("cifar10", "digits")
"""Benchmarks whose recipes are taken first: classes without superclasses, small networks."""

FEW_IMAGES = Change(
    "folders of one's own hold few images: small batches, at a rate in proportion",
    lambda recipe: replace(
        recipe,
        batch_size=32,
        optimizer=SGD(
            learning_rate=0.005,
            router_learning_rate=0.00125,
            nesterov=True,
            weight_decay=5e-4,
        ),
        start=None,
    ).with_epochs(10.0),
)


def own_recipe(
    method: str,
    backbone: str,
    *,
    data: str,
    paths: int | None = None,
    budget: float | None = None,
    size: int | None = None,
) -> Recipe:
    """How ``method`` is fine-tuned on ``backbone``, from weights that are trained, on ``data``.

    ``backbone`` is one of dyncore's, ``timm:NAME`` or ``torchvision:NAME``; ``data`` a Hub id or a
    folder, which names the recipe; ``paths`` per block, the method's fewest by default; ``budget``
    the share of the gated MACs that is to run; ``size`` the images' height and width. Losses and
    phases are those of the method's own recipes, with means that suit fine-tuning.

    Raises ValueError for a method or backbone that there is not, and for a pair that does not fit.
    """
    found: Method = look_up("methods", method)
    config = _backbone(backbone, size)
    adopted = isinstance(config, AdoptedConfig)
    if paths is None:
        paths = 1 if adopted else min(found.paths)
    if paths < 1:
        raise ValueError(f"paths must be at least 1, not {paths}")
    if adopted and paths > 1:
        raise ValueError(
            f"branches of {backbone} keep their weights, so each is one path, not {paths}"
        )
    model = _like(found, budget)
    suffix = f"-n{paths}" if paths > 1 else ""
    network = found.configure(config, paths, IMAGENET)
    benchmark = next((b for b in BENCHMARKS.values() if b.dataset == data), None)
    recipe = replace(
        model,
        source=Source(paper="ours", place=f"{model.name}, on data of one's own"),
        model=f"{method}-{backbone}{suffix}",
        network=replace(network, router=model.network.router, gate=model.network.gate),
        dataset=data,
        augmentation=RandomResizedCropFlip() if benchmark is None else benchmark.augmentation,
    )
    recipe = changed(with_means(recipe, list(MEANS)), FEW_IMAGES)
    name = f"{method}-{_word(backbone.removesuffix('-cifar'))}{suffix}-{_word(data_name(data))}"
    recipe = replace(recipe, source=replace(recipe.source, setup="own data"))
    if network.gate is None:
        return replace(recipe, name=name)
    wanted = BUDGET if budget is None else budget
    return replace(_held(recipe, wanted), name=f"{name}-b{wanted:g}")


def data_name(data: str) -> str:
    """The last part of a folder or Hub id, as data sets call themselves."""
    return Path(data).expanduser().resolve().name


def targets(recipe: Recipe) -> tuple[float, ...]:
    """The shares that the recipe's budgets hold to, each once, ascending."""
    return tuple(sorted({part.target for _, part in _budgets(recipe)}))


def renamed(recipe: Recipe, before: Recipe, data: str | None) -> Recipe:
    """``recipe``, which was ``before`` until options changed it, under a name that is true.

    Of the name change backbone, paths, data (``None``: the recipe's) and budget where they did;
    a backbone without a name is ``custom``.
    """
    name, model = recipe.name, recipe.model
    if recipe.network.backbone != before.network.backbone:
        model = model.replace(_backbone_word(model), _name_of(recipe.network.backbone), 1)
    paths = recipe.network.granularity.paths
    if paths != before.network.granularity.paths:
        model = re.sub(r"-n\d+$", "", model) + (f"-n{paths}" if paths > 1 else "")
    old, new = (_word(each.replace("-cifar", "")) for each in (before.model, model))
    name = new + name.removeprefix(old) if name.startswith(old) else name
    if data is not None and data_name(data) != data_name(recipe.dataset):
        words = [key for key, each in BENCHMARKS.items() if each.dataset == recipe.dataset]
        known = "|".join(map(re.escape, [*words, _word(data_name(recipe.dataset))]))
        name = re.sub(rf"-({known}){_END}", f"-{_word(data_name(data))}", name, count=1)
    if targets(recipe) != targets(before):
        budget = "_".join(f"{target:g}" for target in targets(recipe))
        name, found = re.subn(rf"-b[\d.]+{_END}", f"-b{budget}", name, count=1)
        name = name if found else f"{name}-b{budget}"
    return replace(recipe, name=name, model=model)


_END = r"(?=-|\+|$)"
"""Of a part of a recipe's name."""


def _like(method: Method, budget: float | None) -> Recipe:
    """The method's own recipe whose losses and phases are taken."""
    gated = method.gate is not None
    if budget is not None and not gated:
        raise ValueError(f"{method.name} has no budget: all of its blocks always run")
    mine = [recipe for recipe in recipes().values() if recipe.model.startswith(f"{method.name}-")]
    plain = [each for each in mine if _is_plain(each) and bool(targets(each)) == gated]
    if not plain:
        raise ValueError(
            f"{method.name} has no recipe{' with a budget' if gated else ''} whose losses could be "
            "taken: its package must list one"
        )
    wanted = BUDGET if budget is None else budget

    def rank(recipe: Recipe) -> tuple[Any, ...]:
        similar = [BENCHMARKS[name].dataset for name in SIMILAR]
        data = similar.index(recipe.dataset) if recipe.dataset in similar else len(similar)
        nearest = min((abs(target - wanted) for target in targets(recipe)), default=0.0)
        return data, _SETUPS.index(recipe.source.setup), nearest, recipe.name

    return min(plain, key=rank)


_SETUPS = ("tuned", "paper")
"""In order."""


def _is_plain(recipe: Recipe) -> bool:
    """Whether it leaves out nothing of its method: no row of an ablation, no short run."""
    if recipe.source.setup not in _SETUPS:
        return False
    name = recipe.name.removesuffix(f"-{recipe.source.setup}")
    ends = [f"-b{target:g}" for target in targets(recipe)] or [f"-{key}" for key in BENCHMARKS]
    return name.endswith(tuple(ends))


def _held(recipe: Recipe, budget: float) -> Recipe:
    parts = {key: replace(part, target=budget) for key, part in _budgets(recipe)}
    if not parts:
        raise ValueError(f"{recipe.model} has no loss that holds it to a budget")
    return replace(recipe, objective={**recipe.objective, **parts})


def _budgets(recipe: Recipe) -> Iterator[tuple[str, ExecutionRateConfig | FlopsRatioConfig]]:
    for key, part in recipe.objective.items():
        if isinstance(part, ExecutionRateConfig | FlopsRatioConfig):
            yield key, part


def _backbone(name: str, size: int | None) -> BackboneConfig:
    package, colon, model = name.partition(":")
    if not colon:
        try:
            return backbone_config(name)
        except ValueError as error:
            raise ValueError(f"{error}; or a network of a library, e.g. timm:{name}") from None
    if package not in PACKAGES:
        raise ValueError(f"backbone {name!r}: give timm:NAME or torchvision:NAME")
    side = SIZE if size is None else size
    config = AdoptedConfig(package=package, model=model, height=side, width=side)  # type: ignore[arg-type]
    with torch.device("meta"):
        build_library(config.library(IMAGENET), pretrained=False)  # raises for an unknown name
    return config


def _name_of(config: BackboneConfig) -> str:
    return next((name for name, known in BACKBONES.items() if known == config), "custom")


def _backbone_word(model: str) -> str:
    return re.sub(r"-n\d+$", "", model.partition("-")[2])


def _word(name: str) -> str:
    """As far as it may stand in the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._+-]+", ".", name).strip(".-") or "data"
