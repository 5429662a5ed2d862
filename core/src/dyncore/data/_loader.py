"""From a split to batches."""

from collections.abc import Iterator
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from dyncore.data._augmentation import Augmentation
from dyncore.data._batch import Batch
from dyncore.data._plan import EpochPlan, Share, generator
from dyncore.data._preprocessing import Preprocessing
from dyncore.data._split import Split, copy_to
from dyncore.data._torchvision import transforms_v2


@final
class Loader:
    """Reads a split in batches; one process of `world_size` reads its share of each batch.

    Order and augmentation are functions of `seed`, the epoch and the position in the epoch: the
    processes' shares, one after the other, are the batch that a single process would read, and
    an epoch that starts in the middle continues as if it had not stopped. The defaults are those of
    evaluation: every image once, whole and in the split's order.

    Args:
        split: The images.
        batch_size: Images per batch, over all processes.
        preprocessing: Says to which size images are brought; batches are not normalised.
        device: Where batches lie.
        augmentation: `CropFlip` for a split in memory, `RandomResizedCropFlip` for one that is
            decoded as it is read; None takes each image whole.
        seed: Of everything random.
        shuffle: Read in a new order in every epoch, else row by row.
        drop_last: Leave out the images that do not fill a batch, and insist on equal shares.
            Otherwise shares may differ by one image, and one of the last batch may be empty.
        rank: Number of this process.
        world_size: Number of processes.
        workers: Processes that decode; 0 decodes in this one. Has no influence on what is read.

    Raises:
        ValueError: An argument is out of range or does not fit the split.
    """

    steps_per_epoch: int
    """Number of batches; the same in every process."""

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        preprocessing: Preprocessing,
        device: torch.device | str,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0 to world_size - 1 = {world_size - 1}, not {rank}")
        if workers < 0:
            raise ValueError(f"workers must be at least 0, not {workers}")
        if drop_last and batch_size > len(split):
            raise ValueError(
                f"the split has {len(split)} images, fewer than one batch of {batch_size}: choose "
                f"a batch_size of at most {len(split)}"
            )
        if drop_last and batch_size % world_size:
            raise ValueError(
                f"batch_size {batch_size} is over all processes and must be a multiple of their "
                f"number, {world_size}"
            )
        if augmentation is not None and not isinstance(augmentation, split.augmentation):
            raise ValueError(
                f"augmentation must be {split.augmentation.__name__} or None for a "
                f"{type(split).__name__}, not {type(augmentation).__name__}"
            )
        self.steps_per_epoch = len(split) // batch_size
        if not drop_last and len(split) % batch_size:
            self.steps_per_epoch += 1
        self._split = split.to(torch.device(device))
        self._batch_size = batch_size
        self._preprocessing = preprocessing
        self._augmentation = augmentation
        self._seed = seed
        self._shuffle = shuffle
        self._rank = rank
        self._world_size = world_size
        self._workers = workers

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of epoch 0, the same ones each time."""
        return self.epoch(0)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from `start_step` on; images are float32 in [0, 1]."""
        if not 0 <= start_step <= self.steps_per_epoch:
            raise ValueError(
                f"start_step must be in 0 to steps_per_epoch = {self.steps_per_epoch}, "
                f"not {start_step}"
            )
        shares = [self._share(step) for step in range(start_step, self.steps_per_epoch)]
        return self._batches(EpochPlan(self._seed, epoch, self._order(epoch), shares))

    def _batches(self, plan: EpochPlan) -> Iterator[Batch]:
        to_dtype = transforms_v2().functional.to_dtype
        labels = self._split.labels
        order = copy_to(labels.device, plan.order)
        images = self._split.read(
            plan,
            preprocessing=self._preprocessing,
            augmentation=self._augmentation,
            workers=self._workers,
        )
        for share, pixels in zip(plan.shares, images, strict=True):
            index = order[share.part.start : share.part.stop]
            yield Batch(to_dtype(pixels, torch.float32, scale=True), labels[index], index)

    def _order(self, epoch: int) -> Int[Tensor, "row"]:
        count = len(self._split)
        if self._shuffle:
            return torch.randperm(count, generator=generator("order", self._seed, epoch))
        return torch.arange(count)

    def _share(self, step: int) -> Share:
        start = step * self._batch_size
        whole = range(start, min(start + self._batch_size, len(self._split)))
        first, last = (len(whole) * r // self._world_size for r in (self._rank, self._rank + 1))
        return Share(step, whole, whole[first:last])
