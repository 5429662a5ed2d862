"""Splits as they were found, before anything is decoded."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from dyncore.data._errors import DataFileError
from dyncore.data._images import EncodedImage

T = TypeVar("T")

logger = logging.getLogger("dyncore")

TRAINING_SPLIT = "train"
EVALUATION_SPLITS = ("validation", "valid", "val", "dev", "eval", "test")
"""In order of preference: where there is a validation split, the labels of test may be secret."""

MAX_CLASSES = 100_000
"""Of a data set that does not name its classes."""


def choose_splits(present: Mapping[str, T]) -> dict[str, T]:
    """Keep the training split and the best of the evaluation splits, as far as they are there."""
    found = [split for split in EVALUATION_SPLITS if split in present]
    if len(found) > 1:
        logger.info("evaluates on split %r and leaves out %s", found[0], ", ".join(found[1:]))
    chosen = (TRAINING_SPLIT, *found[:1])
    return {split: present[split] for split in chosen if split in present}


def alone(chosen: Mapping[str, T], only: Literal["train", "test"] | None) -> dict[str, T]:
    """The split to train or the one to test on; None: both."""
    return {
        split: found
        for split, found in chosen.items()
        if only is None or (split == TRAINING_SPLIT) == (only == "train")
    }


@dataclass(frozen=True)
class LabelledImages:
    """A split as it was found."""

    where: str
    """What errors call it."""
    images: Sequence[EncodedImage | None]
    numbers: list[int | None]
    """The labels as they were found."""
    names: tuple[str, ...] | None
    """The classes' names, if the table knows them."""

    def classes(self) -> tuple[str, ...]:
        """Return the classes' names; their numbers, up to the greatest, if they have none."""
        if self.names is not None:
            return self.names
        greatest = max((number for number in self.numbers if number is not None), default=-1)
        if greatest >= MAX_CLASSES:
            raise DataFileError(
                f"{self.where}, row {self.numbers.index(greatest)}: label {greatest} is absurd: "
                f"labels without names are class numbers below {MAX_CLASSES}; correct it"
            )
        return tuple(str(number) for number in range(greatest + 1))

    def numbered_by(self, classes: tuple[str, ...]) -> "LabelledImages":
        """The same with the numbers that ``classes`` have; DataFileError for names it lacks."""
        if self.names is None or self.names == classes:
            return self
        if unknown := [name for name in self.names if name not in classes]:
            raise DataFileError(
                f"{self.where}: the training split has no class {unknown[0]!r}; rename it or "
                "remove its images"
            )
        logger.warning(
            "%s: its classes stand in another order than the training split's, and are numbered "
            "by name as those are",
            self.where,
        )
        known = range(len(self.names))
        numbers = [
            classes.index(self.names[n]) if n is not None and n in known else n
            for n in self.numbers
        ]
        return replace(self, numbers=numbers, names=classes)

    def labels(self, classes: int) -> Int[Tensor, "row"]:
        """Return the labels; DataFileError for one that is missing or not in 0 to `classes` - 1."""
        for row, number in enumerate(self.numbers):
            if number is None or not 0 <= number < classes:
                raise DataFileError(
                    f"{self.where}, row {row}: label {number} is outside the {classes} classes "
                    f"(0 to {classes - 1}); correct it or remove the row"
                )
        return torch.tensor(self.numbers)
