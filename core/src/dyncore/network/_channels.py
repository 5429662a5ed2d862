"""Weights for images of another number of channels, as timm makes them."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from dyncore.data import Preprocessing


def converted_weight(
    weight: Float[Tensor, "out_channel in_channel height width"], channels: int
) -> Float[Tensor, "out_channel channel height width"]:
    """A first convolution's weights for images of ``channels`` channels.

    For one channel their sum: of grey images they give what they gave of three equal channels.
    For others they are repeated, and scaled such that equal channels give what they gave.
    """
    before = weight.shape[1]
    if channels == 1:
        return weight.sum(1, keepdim=True)
    repeated = weight.repeat(1, -(-channels // before), 1, 1)[:, :channels]
    return repeated * (before / channels)


def converted_preprocessing(
    preprocessing: Preprocessing | None, channels: int
) -> Preprocessing | None:
    """For one channel by the mean of the statistics; for other numbers nobody knows: None."""
    if preprocessing is None or channels == len(preprocessing.mean):
        return preprocessing
    if channels != 1:
        return None
    count = len(preprocessing.mean)
    return replace(
        preprocessing,
        mean=(sum(preprocessing.mean) / count,),
        std=(sum(preprocessing.std) / count,),
    )
