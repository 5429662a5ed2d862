"""The images of one split, wherever they are."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from dyncore.data._augmentation import Augmentation, CropFlip, RandomResizedCropFlip
from dyncore.data._plan import EpochPlan
from dyncore.data._preprocessing import Preprocessing


class Split(ABC):
    """Labelled images that can be read in any order."""

    augmentation: ClassVar[type[CropFlip] | type[RandomResizedCropFlip]]
    """The kind of augmentation that the images can be read with."""

    labels: Int[Tensor, "row"]
    """The class number of each image, on the device that images are read to."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def numbered(self, numbers: Sequence[int]) -> "Split":
        """Return the same split, in which class `n` is called `numbers[n]`."""
        other = copy.copy(self)
        other.labels = torch.tensor(numbers, device=self.labels.device)[self.labels]
        return other

    @abstractmethod
    def to(self, device: torch.device) -> "Split":
        """Return the same split, read to `device`."""

    @abstractmethod
    def read(
        self,
        plan: EpochPlan,
        *,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        workers: int,
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield the images of each share of `plan`, resized, cropped and augmented."""

    @abstractmethod
    def look(
        self, rows: Sequence[int], preprocessing: Preprocessing
    ) -> UInt8[Tensor, "row channel height width"]:
        """Return some images by row, resized and cropped, on the CPU: for people to see."""


def copy_to(device: torch.device, tensor: Tensor) -> Tensor:
    """Copy from the CPU to `device`, without waiting for work that the device has to do."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
