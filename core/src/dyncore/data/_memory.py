"""Small images: decoded once, augmented in batches on the device."""

from collections.abc import Iterator, Sequence
from typing import final

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from dyncore.data._augmentation import Augmentation, CropFlip
from dyncore.data._plan import EpochPlan, generator
from dyncore.data._preprocessing import Preprocessing
from dyncore.data._split import Split, copy_to


@final
class MemorySplit(Split):
    """Images of one size, held as one uint8 tensor on the device that they are read to."""

    augmentation = CropFlip

    def __init__(
        self, images: UInt8[Tensor, "row channel height width"], labels: Int[Tensor, "row"]
    ) -> None:
        self.images = images
        self.labels = labels

    def to(self, device: torch.device) -> "MemorySplit":
        """Return the same split on `device`."""
        return MemorySplit(self.images.to(device), self.labels.to(device))

    def read(
        self,
        plan: EpochPlan,
        *,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        workers: int,
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield the images of each share of `plan`; there is no work for `workers`."""
        assert augmentation is None or isinstance(augmentation, CropFlip)  # the loader has checked
        geometry = preprocessing.geometry()
        device = self.labels.device
        order = copy_to(device, plan.order)
        for share in plan.shares:
            images = geometry(self.images[order[share.part.start : share.part.stop]])
            if augmentation is not None:
                random = generator("augmentation", plan.seed, plan.epoch, share.step)
                draws = augmentation.draw(len(share.whole), random)[share.within]
                images = augmentation(images, copy_to(device, draws))
            yield images

    def look(
        self, rows: Sequence[int], preprocessing: Preprocessing
    ) -> UInt8[Tensor, "row channel height width"]:
        """Return some images by row."""
        return preprocessing.geometry()(self.images[list(rows)].cpu())
