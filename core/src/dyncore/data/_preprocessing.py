"""What is done to an image before a network sees it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.data._picture import ToPicture
from dyncore.data._torchvision import transforms_v2

MAX_SIDE = 2**14
"""Pixels; what a stranger's file may make an image be resized to."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Size and statistics of a network's input; a bad value raises ValueError with its field."""

    mean: tuple[float, ...]
    """Mean of each channel over the training images, for values in [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel, likewise."""
    size: int
    """Height and width of the input."""
    resize: int | None = None
    """Length of the image's short side before `size` is cut from its centre; None: the whole
    image is resized to `size`, which leaves an image of that size as it is."""

    def __post_init__(self) -> None:
        _check_numbers("mean", self.mean)
        _check_numbers("std", self.std)
        if len(self.mean) != len(self.std):
            raise ValueError(
                "preprocessing.std must have one number per channel, like mean: it has "
                f"{len(self.std)}, mean has {len(self.mean)}"
            )
        if min(self.std) <= 0:
            raise ValueError(f"preprocessing.std must be positive, not {self.std}")
        _check_length("size", self.size)
        if self.resize is not None:
            _check_length("resize", self.resize)
            if self.resize < self.size:
                raise ValueError(
                    f"preprocessing.resize ({self.resize}) must be at least size ({self.size}), "
                    "which is cut from the resized image"
                )

    def normalize(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Subtract the mean of each channel and divide by its standard deviation.

        `images` are in [0, 1], on any device; their dtype is kept. ValueError if they have
        another number of channels.
        """
        if images.shape[1] != len(self.mean):
            raise ValueError(
                f"the images have {images.shape[1]} channels, preprocessing.mean and std have "
                f"{len(self.mean)}"
            )
        # The constants enter as scalars: as tensors they would have to be copied to the device.
        channels = zip(images.unbind(1), self.mean, self.std, strict=True)
        return torch.stack([(channel - mean) / std for channel, mean, std in channels], dim=1)

    def denormalize(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The inverse of :meth:`normalize`, kept in [0, 1]."""
        channels = zip(images.unbind(1), self.mean, self.std, strict=True)
        return torch.stack([channel * std + mean for channel, mean, std in channels], 1).clamp(0, 1)

    def geometry(self) -> nn.Module:
        """Return the transform that resizes and crops, of PIL images and of image tensors.

        Raises ModuleNotFoundError without torchvision.
        """
        v2 = transforms_v2()
        if self.resize is None:
            return v2.Resize((self.size, self.size))
        return v2.Compose([v2.Resize(self.resize), v2.CenterCrop(self.size)])

    def transform(self) -> nn.Module:
        """Return everything at once: PIL image to normalised tensor (channel, size, size).

        It turns, scales and refuses images as data sets do: see :class:`ToPicture`, which says what
        else is taken for one. Raises ValueError for statistics of neither 1 nor 3 channels, and
        ModuleNotFoundError without torchvision.
        """
        v2 = transforms_v2()
        steps = [
            ToPicture(len(self.mean)),
            self.geometry(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float, scale=True),
        ]
        return v2.Compose([*steps, v2.Normalize(list(self.mean), list(self.std))])


def _check_numbers(name: str, values: tuple[float, ...]) -> None:
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(
            f"preprocessing.{name} must be finite numbers, one per channel, not {values}"
        )


def _check_length(name: str, value: int) -> None:
    if not 1 <= value <= MAX_SIDE:
        raise ValueError(
            f"preprocessing.{name} must be at least 1 pixel and at most {MAX_SIDE}, not {value}"
        )
