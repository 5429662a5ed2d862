"""The data sets of the papers by short name."""

from dataclasses import dataclass

from dyncore.data import CropFlip, RandomResizedCropFlip


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A data set under the short name that recipe names use."""

    dataset: str
    """Hub id, or ``digits``."""
    num_classes: int
    """Number of classes."""
    augmentation: CropFlip | RandomResizedCropFlip
    """What its training images go through."""
    batch_size: int = 256
    """Images per step, where a recipe says nothing else."""


BENCHMARKS = {
    "cifar10": Benchmark(dataset="uoft-cs/cifar10", num_classes=10, augmentation=CropFlip()),
    "cifar100": Benchmark(dataset="uoft-cs/cifar100", num_classes=100, augmentation=CropFlip()),
    "imagenet": Benchmark(
        dataset="ILSVRC/imagenet-1k", num_classes=1000, augmentation=RandomResizedCropFlip()
    ),
    "digits": Benchmark(
        dataset="digits",
        num_classes=10,
        augmentation=CropFlip(padding=1, flip=False),
        batch_size=64,
    ),
}
"""Digits are ours: batches of 256 would make five steps an epoch of its 1437 training images."""
