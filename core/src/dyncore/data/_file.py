"""Large images: decoded as they are read, by worker processes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dyncore.data._augmentation import Augmentation, RandomResizedCropFlip
from dyncore.data._errors import DataFileError
from dyncore.data._images import EncodedImage
from dyncore.data._plan import EpochPlan, mix
from dyncore.data._preprocessing import Preprocessing
from dyncore.data._split import Split
from dyncore.data._torchvision import transforms_v2


@final
class FileSplit(Split):
    """Images of any size, held as the bytes or paths of their files."""

    augmentation = RandomResizedCropFlip

    def __init__(
        self, images: Sequence[EncodedImage | None], labels: Int[Tensor, "row"], where: str
    ) -> None:
        """`where` is what errors call the split."""
        self.images = images
        self.labels = labels
        self.where = where

    def to(self, device: torch.device) -> "FileSplit":
        """Return the same split, read to `device`."""
        return FileSplit(self.images, self.labels.to(device), self.where)

    def read(
        self,
        plan: EpochPlan,
        *,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        workers: int,
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield the images of each share of `plan`; DataFileError names an unreadable row."""
        if augmentation is None:
            transform = preprocessing.geometry()
        else:
            assert isinstance(augmentation, RandomResizedCropFlip)  # the loader has checked
            transform = augmentation.transform(preprocessing.size)
        device = self.labels.device
        loader = DataLoader(
            _Decoder(self.images, self.where, transform, preprocessing.size, plan),
            sampler=(share.part for share in plan.shares),
            batch_size=None,
            num_workers=min(workers, _cores()),
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),
        )
        for images in loader:
            if isinstance(images, DataFileError):
                raise images
            yield images.to(device, non_blocking=True)

    def look(
        self, rows: Sequence[int], preprocessing: Preprocessing
    ) -> UInt8[Tensor, "row channel height width"]:
        """Return some images by row; DataFileError names an unreadable one."""
        from dyncore.data._decode import decode  # Pillow, which only this needs

        geometry, pixels = preprocessing.geometry(), transforms_v2().functional.pil_to_tensor
        images = (decode(self.images[row], f"{self.where}, row {row}") for row in rows)
        return torch.stack([pixels(geometry(image)) for image in images])


def _cores() -> int:
    """Those that this process may use: more workers than that would wait for each other."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class _Decoder(Dataset[Tensor | DataFileError]):
    """What a worker does: positions in the epoch's order → images."""

    images: Sequence[EncodedImage | None]
    where: str
    transform: nn.Module
    size: int
    plan: EpochPlan

    def __getitem__(
        self, positions: range
    ) -> UInt8[Tensor, "batch 3 {self.size} {self.size}"] | DataFileError:
        images = torch.empty(len(positions), 3, self.size, self.size, dtype=torch.uint8)
        try:
            with torch.random.fork_rng(devices=()):
                for image, position in zip(images, positions, strict=True):
                    image.copy_(self._read(position))
        except DataFileError as error:
            return error  # raised in a worker, it would arrive wrapped in the worker's traceback
        return images

    def _read(self, position: int) -> UInt8[Tensor, "3 {self.size} {self.size}"]:
        from dyncore.data._decode import decode  # Pillow, which only this needs

        row = int(self.plan.order[position])
        decoded = decode(self.images[row], f"{self.where}, row {row}")
        # torchvision draws from this generator, whatever the process.
        torch.default_generator.manual_seed(
            mix("augmentation", self.plan.seed, self.plan.epoch, position)
        )
        pixels: Tensor = transforms_v2().functional.pil_to_tensor(self.transform(decoded))
        return pixels
