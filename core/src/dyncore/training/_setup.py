"""What a run is made of: its recipe on its data, loaders and network."""

import logging
from dataclasses import replace

import torch
from accelerate import Accelerator

from dyncore.adopt import IMAGENET, AdoptedConfig, build_library
from dyncore.data import Augmentation, Dataset, Loader, MemorySplit, Split, sketch
from dyncore.gating import config_to_dict
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.objectives import Objective
from dyncore.recipes import Recipe
from dyncore.training._options import RunOptions
from dyncore.weights import load_static

logger = logging.getLogger("dyncore")


def fit(recipe: Recipe, options: RunOptions, dataset: Dataset) -> Recipe:
    """The recipe as it will run: its classes are the data's, its length the option's."""
    wanted, channels = recipe.network.backbone.in_channels, len(dataset.preprocessing.mean)
    if wanted != channels:
        raise ValueError(
            f"network.backbone.in_channels is {wanted}, but data sets are read as images of "
            f"{channels} channels: leave it at {channels}"
        )
    network = replace(recipe.network, num_classes=len(dataset.classes))
    size = dataset.preprocessing.size
    if isinstance(network.backbone, AdoptedConfig):
        network = replace(network, backbone=replace(network.backbone, height=size, width=size))
    augmentation = _suited(recipe.augmentation, dataset)
    recipe = replace(recipe, network=network, augmentation=augmentation)
    return recipe if options.epochs is None else recipe.with_epochs(options.epochs)


def as_trained(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Images that are decoded as they are read, normalised as the network's library does it."""
    backbone = recipe.network.backbone
    if not isinstance(backbone, AdoptedConfig) or isinstance(dataset.train, MemorySplit):
        return dataset
    with torch.device("meta"):
        known = build_library(backbone.library(IMAGENET), pretrained=False).preprocessing
    seen = replace(dataset.preprocessing, mean=known.mean, std=known.std)
    return replace(dataset, preprocessing=seen)


def _suited(augmentation: Augmentation | None, dataset: Dataset) -> Augmentation | None:
    """That of the recipe, or the other kind where the data cannot be read with it; it is said."""
    if dataset.train is None or augmentation is None:
        return augmentation
    kind = dataset.train.augmentation
    if isinstance(augmentation, kind):
        return augmentation
    suited = kind(flip=augmentation.flip)
    logger.info("images of %r are augmented by %r", dataset.name, suited)
    return suited


def check_start(recipe: Recipe, options: RunOptions) -> None:
    """Raise ValueError for a recipe that starts from a trained model, where none is given."""
    if recipe.start is not None and options.init is None:
        raise ValueError(
            f"recipe {recipe.name!r} starts from a trained model: give it with --init FOLDER, the "
            f"'model' folder of a run that trained {recipe.start!r}"
        )


def check_trackers(accelerator: Accelerator, options: RunOptions) -> None:
    """Raise ValueError for a missing package: accelerate leaves its tracker out in silence."""
    present = {"all", *map(str, accelerator.log_with)}
    if missing := [name for name in options.trackers if name not in present]:
        raise ValueError(
            f"trackers: {', '.join(missing)} is not installed; install the package, or leave "
            "it out: metrics.jsonl has the same numbers"
        )


def check_rates(recipe: Recipe, model: DynamicNetwork) -> None:
    """Raise ValueError for a phase with rates of other paths than the network has."""
    for phase in recipe.phases:
        if phase.rates and len(phase.rates) != sum(model.paths_per_block):
            raise ValueError(
                f"phase {phase.name!r} has {len(phase.rates)} rates, but the network has "
                f"{sum(model.paths_per_block)} paths"
            )


def check_budgets(recipe: Recipe, objective: Objective) -> None:
    """Raise ValueError for budgets to be drawn where nothing has a target."""
    if objective.target is None and any(phase.budgets for phase in recipe.phases):
        raise ValueError(
            "budgets are drawn for an objective with a target, but none of its parts "
            f"({', '.join(recipe.objective)}) has one: add an execution-rate or flops-ratio part"
        )


def build_loaders(
    dataset: Dataset, recipe: Recipe, options: RunOptions, accelerator: Accelerator
) -> tuple[Loader, Loader]:
    """Of the train and of the test split. Raises ValueError where one is missing."""

    def build(split: Split | None, name: str) -> Loader:
        if split is None:
            raise ValueError(
                f"data set {dataset.name!r} has no {name} split: training needs both a "
                "train and a test (or validation) split"
            )
        training = name == "train"
        return Loader(
            split,
            batch_size=recipe.batch_size,
            preprocessing=dataset.preprocessing,
            augmentation=recipe.augmentation if training else None,
            seed=options.seed,
            shuffle=training,
            drop_last=training,
            device=accelerator.device,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            workers=options.workers,
        )

    return build(dataset.train, "train"), build(dataset.test, "test")


def build_model(recipe: Recipe, options: RunOptions, dataset: Dataset) -> DynamicNetwork:
    """The network with its start, layout and compilation as the options say."""
    train = dataset.train
    info = ModelInfo(
        method=recipe.model.partition("-")[0],
        model=recipe.model,
        classes=dataset.classes,
        preprocessing=dataset.preprocessing,
        dataset=dataset.name,
        training_images=sketch(train.images) if isinstance(train, MemorySplit) else None,
        recipe=config_to_dict(recipe),
    )
    model = DynamicNetwork(recipe.network, info)
    if options.init is not None:
        load_static(model, options.init)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.compile:
        model.compile()
    return model
