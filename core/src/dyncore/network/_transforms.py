"""The preprocessing that a model was trained with."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from dyncore.network._info import ModelInfo


@runtime_checkable
class Described(Protocol):
    """A model that says about itself what its images go through."""

    info: ModelInfo


def transforms(model: Described) -> Callable[[Any], Tensor]:
    """A callable from a PIL image to the (3, height, width) tensor that ``model`` expects.

    It is normalised; for a cascade, whose members normalise for themselves, it is in [0, 1].

    Raises ValueError for a model that was not trained here and has no preprocessing yet, and
    ModuleNotFoundError without torchvision.
    """
    if model.info.preprocessing is None:
        raise ValueError(
            "this model has no preprocessing: it is set by training, and comes back with "
            "from_pretrained; for a fresh model build a dyncore.data.Preprocessing yourself"
        )
    return model.info.preprocessing.transform()
