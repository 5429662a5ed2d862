"""Some of a split's images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

import torch
from jaxtyping import UInt8
from torch import Tensor

from dyncore.data._augmentation import Augmentation, CropFlip, RandomResizedCropFlip
from dyncore.data._plan import EpochPlan
from dyncore.data._preprocessing import Preprocessing
from dyncore.data._split import Split


@final
class Part(Split):
    """The images of some rows, numbered anew from 0; the others are not read."""

    def __init__(self, whole: Split, rows: Sequence[int]) -> None:
        """Raises IndexError for a row that `whole` does not have."""
        self._whole = whole
        self._rows = torch.tensor(rows, dtype=torch.long)
        self.labels = whole.labels[self._rows.to(whole.labels.device)]

    @property
    def augmentation(self) -> type[CropFlip] | type[RandomResizedCropFlip]:  # type: ignore[override]
        return self._whole.augmentation

    def to(self, device: torch.device) -> "Part":
        """Return the same part, read to `device`."""
        return Part(self._whole.to(device), self._rows.tolist())

    def read(
        self,
        plan: EpochPlan,
        *,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        workers: int,
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield the images of each share of `plan`; errors name rows of the whole split."""
        return self._whole.read(
            replace(plan, order=self._rows[plan.order]),
            preprocessing=preprocessing,
            augmentation=augmentation,
            workers=workers,
        )

    def look(
        self, rows: Sequence[int], preprocessing: Preprocessing
    ) -> UInt8[Tensor, "row channel height width"]:
        """Return some images by row."""
        return self._whole.look(self._rows[list(rows)].tolist(), preprocessing)
