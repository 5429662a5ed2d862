"""A method on a backbone, for data of one's own: what no paper has, and no package lists."""

import re
from dataclasses import replace
from pathlib import Path

import torch

from dyncore.adopt import IMAGENET, PACKAGES, AdoptedConfig, build_library
from dyncore.backbones import BACKBONES, BackboneConfig, backbone_config
from dyncore.data import RandomResizedCropFlip
from dyncore.parts import look_up
from dyncore.recipes._benchmarks import BENCHMARKS
from dyncore.recipes._change import Change, changed
from dyncore.recipes._means import with_means
from dyncore.recipes._optimizer import SGD
from dyncore.recipes._plain import BUDGET, held, plain_recipe, targets
from dyncore.recipes._recipe import Recipe, Source
from dyncore.registry import Method

SIZE = 224
"""Pixels, where none are given."""
CHOSEN = ("finetuned", "shared", "open", "hard", "opening", "sandwich")
"""Means by which trained weights learn to be routed; ``dyncore.recipes.MEANS`` says why."""

FEW_IMAGES = Change(
    "folders of one's own hold few images: small batches, at a rate in proportion",
    lambda recipe: replace(
        recipe,
        batch_size=32,
        optimizer=SGD(learning_rate=0.005, nesterov=True, weight_decay=5e-4),
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
    model = plain_recipe(method, budget)
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
    recipe = changed(with_means(recipe, list(CHOSEN)), FEW_IMAGES)
    name = f"{method}-{_word(backbone.removesuffix('-cifar'))}{suffix}-{_word(data_name(data))}"
    recipe = replace(recipe, source=replace(recipe.source, setup="own data"))
    if network.gate is None:
        return replace(recipe, name=name)
    wanted = BUDGET if budget is None else budget
    return replace(held(recipe, wanted), name=f"{name}-b{wanted:g}")


def data_name(data: str) -> str:
    """The last part of a folder or Hub id, as data sets call themselves."""
    return Path(data).expanduser().resolve().name


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
