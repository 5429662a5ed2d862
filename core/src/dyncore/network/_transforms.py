"""The preprocessing that a model was trained with."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from dyncore.network._network import DynamicNetwork


def transforms(model: DynamicNetwork) -> Callable[[Any], Tensor]:
    """A callable from a PIL image to the normalised (3, height, width) tensor ``model`` expects.

    Raises ValueError for a model that was not trained here and has no preprocessing yet.
    """
    if model.info.preprocessing is None:
        raise ValueError(
            "this model has no preprocessing: it is set by training, and comes back with "
            "from_pretrained; for a fresh model build a dyncore.data.Preprocessing yourself"
        )
    return model.info.preprocessing.transform()
