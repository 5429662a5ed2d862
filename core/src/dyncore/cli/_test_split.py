"""A data set's test split beside a trained model: its size, and its classes."""

import logging
from dataclasses import replace

from dyncore.cascade import Cascade
from dyncore.data import Dataset, Split, load_dataset
from dyncore.network import DynamicNetwork

logger = logging.getLogger("dyncore")


def load_test(
    data: str, model: DynamicNetwork | Cascade, *, skip_corrupt: bool
) -> tuple[Dataset, Split]:
    """A data set as ``model`` was trained to see it, in the model's classes, and its test split.

    Of a model that does not know what its images go through, both splits are read: they tell.
    Raises ValueError for a data set without a test split.
    """
    seen = model.info.preprocessing
    if seen is None:
        found = load_dataset(data, skip_corrupt=skip_corrupt)
    else:
        size = None if seen.resize is not None or data == "digits" else seen.size
        found = load_dataset(data, skip_corrupt=skip_corrupt, size=size, only="test")
    found = _among_the_models(model, found)
    if found.test is None:
        raise ValueError(f"data set {found.name!r} has no test or validation split")
    return found, found.test


def _among_the_models(model: DynamicNetwork | Cascade, dataset: Dataset) -> Dataset:
    """With the model's classes, where the data have but some of them, by name."""
    count = model.num_classes if isinstance(model, Cascade) else model.config.num_classes
    ours = model.info.classes or tuple(map(str, range(count or 0)))
    names = dataset.classes
    if len(names) >= len(ours) or not set(names) <= set(ours) or dataset.test is None:
        return dataset
    logger.warning(
        "%r has %d of the model's %d classes: the others have no image",
        *(dataset.name, len(names), len(ours)),
    )
    test = dataset.test.numbered([ours.index(name) for name in names])
    return replace(dataset, test=test, train=None, classes=ours)


def numbers_of_classes(model: DynamicNetwork | Cascade, dataset: Dataset) -> list[int] | None:
    """The number that each of the model's classes has in the data; None: the same ones.

    Classes are compared by name, as far as names are known. What is done about a difference is
    said. Raises ValueError where labels and logits cannot mean the same classes.
    """
    ours, theirs = model.info.classes, dataset.classes
    count = model.num_classes if isinstance(model, Cascade) else model.config.num_classes
    if count is not None and len(theirs) != count:
        raise ValueError(
            f"the model has {count} classes, data set {dataset.name!r} has {len(theirs)}"
        )
    if ours is None or ours == theirs:
        return None
    if sorted(ours) == sorted(theirs):
        logger.warning(
            "the classes of the model stand in another order than those of %r: they are compared "
            "by name",
            dataset.name,
        )
        return [theirs.index(name) for name in ours]
    if moved := [name for n, name in enumerate(ours) if name in theirs and theirs[n] != name]:
        raise ValueError(
            f"class {moved[0]!r} is number {ours.index(moved[0])} of the model and number "
            f"{theirs.index(moved[0])} of data set {dataset.name!r}, and other names differ: they "
            "cannot be compared, neither by name nor by number; rename the data's classes"
        )
    other = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    logger.warning(
        "%d of %d classes have another name in the model than in %r, e.g. %r and %r: they are "
        "compared by number",
        *(len(other), len(ours), dataset.name, *other[0]),
    )
    return None
