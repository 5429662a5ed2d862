"""A method on a backbone, for data of one's own: its name, and what it takes from where."""

from dataclasses import replace

import pytest

from dyncore.backbones import backbone_config
from dyncore.data import CropFlip, RandomResizedCropFlip
from dyncore.objectives import FlopsRatioConfig
from dyncore.recipes import find_recipe, own_recipe, renamed, with_settings
from dyncore.registry import list_methods

GATED = [name for name in list_methods() if name not in ("static", "nested")]


@pytest.mark.parametrize("method", GATED)
def test_every_method_is_held_to_the_budget_on_a_backbone_that_it_does_not_list(method):
    recipe = own_recipe(method, "resnet34", data="photos/my flowers", budget=0.45)
    paths = recipe.network.granularity.paths
    suffix = f"-n{paths}" if paths > 1 else ""
    assert recipe.name == f"{method}-resnet34{suffix}-my.flowers-b0.45"
    assert recipe.model == f"{method}-resnet34{suffix}"
    assert recipe.network.backbone == backbone_config("resnet34")
    budget = recipe.objective["flops"]
    assert isinstance(budget, FlopsRatioConfig)
    assert (budget.target, "rate" in recipe.objective) == (0.45, False)
    assert recipe.start is None
    assert isinstance(recipe.augmentation, RandomResizedCropFlip)


def test_a_network_of_a_library_keeps_one_path_per_block():
    recipe = own_recipe("dmnn", "torchvision:resnet18", data="flowers", size=64)
    assert recipe.name == "dmnn-torchvision.resnet18-flowers-b0.6"
    assert (recipe.network.backbone.height, recipe.network.granularity.paths) == (64, 1)


def test_digits_are_not_mirrored():
    recipe = own_recipe("static", "resnet20-cifar", data="digits")
    assert recipe.augmentation == CropFlip(padding=1, flip=False)
    assert recipe.name == "static-resnet20-digits"


@pytest.mark.parametrize(
    ("method", "backbone", "options", "message"),
    [
        ("rdi", "resnet18", {}, "unknown method 'rdi'"),
        ("vanilla", "resnet19", {}, "unknown backbone 'resnet19'; .* timm:resnet19"),
        ("vanilla", "hub:resnet18", {}, "give timm:NAME or torchvision:NAME"),
        ("vanilla", "torchvision:resnet19", {}, "torchvision:resnet19 cannot be built"),
        ("vanilla", "torchvision:resnet18", {"paths": 2}, "each is one path, not 2"),
        ("vanilla", "resnet18", {"budget": 1.5}, r"target must be in \[0, 1\], not 1.5"),
        ("static", "resnet18", {"budget": 0.5}, "static has no budget"),
        ("nested", "torchvision:resnet18", {}, "no smaller form"),
    ],
)
def test_refusals(method, backbone, options, message):
    with pytest.raises(ValueError, match=message):
        own_recipe(method, backbone, data="flowers", **options)


@pytest.mark.parametrize(
    ("values", "data", "name", "model"),
    [
        ({}, "elsewhere/cifar10", "vanilla-resnet20-cifar10-b0.5+shared", "vanilla-resnet20-cifar"),
        ({"objective.flops.target": 0.3}, None, "vanilla-resnet20-cifar10-b0.3+shared",
         "vanilla-resnet20-cifar"),
        ({"network.backbone.depths": (5, 5, 5)}, "a/cars",
         "vanilla-resnet32-cars-b0.5+shared", "vanilla-resnet32-cifar"),
        ({"network.backbone.depths": (1, 1, 1), "network.combine": "additive",
          "network.granularity.paths": 2}, None,
         "vanilla-custom-n2-cifar10-b0.5+shared", "vanilla-custom-n2"),
        ({"optimizer.learning_rate": 0.3}, None, "vanilla-resnet20-cifar10-b0.5+shared",
         "vanilla-resnet20-cifar"),
    ],
)  # fmt: skip
def test_a_name_says_what_runs(values, data, name, model):
    before = find_recipe("vanilla-resnet20-cifar10-b0.5+shared")
    after = renamed(with_settings(before, values), before, data)
    assert (after.name, after.model) == (name, model)


def test_a_budget_that_the_name_lacks_is_added():
    before = find_recipe("static-resnet50-imagenet")
    part = FlopsRatioConfig(target=0.7)
    after = replace(before, objective={**before.objective, "flops": part})
    assert renamed(after, before, None).name == "static-resnet50-imagenet-b0.7"
