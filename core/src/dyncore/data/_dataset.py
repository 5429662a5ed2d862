"""A data set as the rest of the package sees it."""

from dataclasses import dataclass
from typing import final

from dyncore.data._preprocessing import Preprocessing
from dyncore.data._split import Split


@final
@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Labelled images, split for training and evaluation."""

    name: str
    """The last part of what it was loaded from: cifar10 for uoft-cs/cifar10."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of their numbers."""
    train: Split | None
    """What to train on, if there is such a split."""
    test: Split | None
    """What to evaluate on, if there is such a split: validation where there is one, else test."""
    preprocessing: Preprocessing
    """What suits a network that is trained on it. For splits in memory: the statistics of the
    training images (of the test images if there are no others) and their size. For splits that
    are decoded as they are read: what is usual on ImageNet."""
