"""The preprocessing that suits a data set."""

from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from dyncore.data._preprocessing import Preprocessing

IMAGENET = Preprocessing(
    mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=224, resize=256
)
"""What is usual on ImageNet."""

_DECIMALS = 4


def at_size(preprocessing: Preprocessing, size: int) -> Preprocessing:
    """The same at another input size; the share that is cut from the centre stays."""
    resize = preprocessing.resize
    if resize is not None:
        resize = max(size, round(resize * size / preprocessing.size))
    return replace(preprocessing, size=size, resize=resize)


def measure(images: UInt8[Tensor, "row channel side side"]) -> Preprocessing:
    """Measure each channel over all pixels; a channel that is constant is left unscaled."""
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = [torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]
    shares = torch.stack(counts).double() / counts[0].sum()
    mean = shares @ values
    std = (shares * (values - mean[:, None]) ** 2).sum(1).sqrt()
    return Preprocessing(
        mean=tuple(round(value, _DECIMALS) for value in mean.tolist()),
        std=tuple(round(value, _DECIMALS) or 1.0 for value in std.tolist()),
        size=images.shape[-1],
    )
