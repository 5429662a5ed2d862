"""Labelled images as people have them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from jaxtyping import Float, Int
from torch import Tensor

from dyncore.data import Batch, Preprocessing

Batches: TypeAlias = Iterable[Batch | Sequence[Tensor]]
"""Batches of images in [0, 1] and labels."""


def images_and_labels(batch: Batch | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Both parts of a batch. Raises ValueError for what is not images and labels."""
    if isinstance(batch, Batch):
        return batch.images, batch.labels
    if len(batch) != 2 or len(batch[0]) != len(batch[1]):
        raise ValueError(
            "batches must be (images, labels), with a label for every image; this one has parts of "
            f"lengths {[len(part) for part in batch]}"
        )
    return batch[0], batch[1]


def check_labels(labels: Int[Tensor, "image"], classes: int) -> None:
    """Raise ValueError for a label that is no class's number."""
    if bool(((labels < 0) | (labels >= classes)).any()):
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}, but there are {classes} "
            "classes, numbered from 0"
        )


def check_in_range(images: Float[Tensor, "batch channel height width"]) -> None:
    """Raise ValueError for images that are not in [0, 1], e.g. since they are normalised."""
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"images must be in [0, 1], these are in [{low:.3g}, {high:.3g}]: leave out their "
            "normalisation, or say normalised=True"
        )


class Denormalised:
    """Batches of a loop that normalises, with images in [0, 1] again."""

    def __init__(self, batches: Batches, preprocessing: Preprocessing) -> None:
        self._batches, self._preprocessing = batches, preprocessing

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._batches:
            images, labels = images_and_labels(batch)
            yield self._preprocessing.denormalize(images), labels
