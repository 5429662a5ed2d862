"""What is done to training images at random."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Int, UInt8
from torch import Tensor, nn

from dyncore.data._torchvision import transforms_v2


@dataclass(frozen=True, kw_only=True)
class CropFlip:
    """Pad with zeros, cut the original size at a random place, mirror every second image.

    For splits in memory: a whole batch at once, on its device.
    """

    padding: int = 4
    """Pixels of zeros on each side."""
    flip: bool = True
    """Mirror left and right with probability 1/2."""

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ValueError(f"padding must be at least 0 pixels, not {self.padding}")

    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, "batch 3"]:
        """Draw for `count` images: top and left of the cut in the padded image, mirrored or not."""
        corners = torch.randint(2 * self.padding + 1, (count, 2), generator=generator)
        mirrored = torch.randint(2 if self.flip else 1, (count, 1), generator=generator)
        return torch.cat((corners, mirrored), dim=1)

    def __call__(
        self, images: UInt8[Tensor, "batch channel height width"], draws: Int[Tensor, "batch 3"]
    ) -> UInt8[Tensor, "batch channel height width"]:
        """Augment each image by its row of `draws`."""
        count, channels, height, width = images.shape
        top, left, mirrored = draws[:, :, None].unbind(1)
        across = torch.arange(width, device=images.device)
        rows = top + torch.arange(height, device=images.device)
        columns = left + torch.where(mirrored == 1, across.flip(0), across)
        image = torch.arange(count, device=images.device)[:, None, None, None]
        channel = torch.arange(channels, device=images.device)[:, None, None]
        padded = F.pad(images, (self.padding,) * 4)
        return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


@dataclass(frozen=True, kw_only=True)
class RandomResizedCropFlip:
    """Cut a random part of the image, resize it to the input size, mirror every second one.

    For splits that are decoded as they are read (`torchvision.transforms.v2`).
    """

    scale: tuple[float, float] = (0.08, 1.0)
    """Least and greatest area of the part, as a share of the image."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and greatest width of the part, as a multiple of its height."""
    flip: bool = True
    """Mirror left and right with probability 1/2."""

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be two rising shares in (0, 1], not {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two rising positive numbers, not {self.ratio}")

    def transform(self, size: int) -> nn.Module:
        """Return the transform of PIL images; it draws from torch's own CPU generator."""
        v2 = transforms_v2()
        crop = v2.RandomResizedCrop(size, scale=self.scale, ratio=self.ratio)
        return v2.Compose([crop, v2.RandomHorizontalFlip(0.5 if self.flip else 0.0)])


Augmentation = CropFlip | RandomResizedCropFlip
"""What a loader may do to training images."""
