"""What an image takes on this machine."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from dyncore.cascade import from_pretrained, milliseconds
from dyncore.data import Dataset
from dyncore.engine import Engine

IMAGES = 64
"""Of the test split, the first ones: what an image takes depends on the image."""


@torch.no_grad()
def time_engines(models: Mapping[str, Path], dataset: Dataset) -> dict[str, float]:
    """Milliseconds per image of saved models in the engine, one image after the other.

    Medians of rounds in which the models take turns (:func:`dyncore.cascade.milliseconds`).
    """
    engines = {name: _engine(folder, dataset) for name, folder in models.items()}
    assert dataset.test is not None
    rows = torch.arange(min(IMAGES, len(dataset.test)))
    return milliseconds(engines, rows.split(1)) if engines else {}


def _engine(folder: Path, dataset: Dataset) -> Callable[[Tensor], object]:
    """What answers the image of a row."""
    assert dataset.test is not None
    network = from_pretrained(folder).float()
    preprocessing = network.info.preprocessing or dataset.preprocessing
    count = min(IMAGES, len(dataset.test))
    pixels = dataset.test.look(range(count), preprocessing).float() / 255
    images = preprocessing.normalize(pixels).split(1)
    engine = Engine(network, images[0])
    return lambda row: engine(images[int(row)])
