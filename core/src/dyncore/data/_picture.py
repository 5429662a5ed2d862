"""What a picture is to a network: the right way up, eight bits deep, in colour or grey.

One rule for training, evaluation and :func:`dyncore.transforms`.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:  # Pillow is imported by who has a picture
    from PIL import Image

_ORIENTATION = 0x0112
"""Exif's tag; 1 is upright."""
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_WIDENED = ("PNG", "PPM")
"""Formats of whose files Pillow gives 16-bit greys as 32-bit integers, depending on its version."""


def picture(image: "Image.Image", mode: str = "RGB") -> "Image.Image":
    """``image`` in ``mode`` (RGB, or L: grey), as it is meant to be looked at.

    It is turned as its Exif data say, as ``datasets`` does. Greys of 16 bits, and floating-point
    ones in [0, 1], are scaled to 8 bits: converted by Pillow they would be clipped. Raises
    ValueError for greys whose white nobody knows.
    """
    from PIL import ImageOps

    if _orientation(image) in range(2, 9):
        image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F", *_SIXTEEN_BITS):
        image = _eight_bits(image)
    return image.convert(mode)


def _orientation(image: "Image.Image") -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except Exception:  # Exif data that are damaged are none
        return None


def _eight_bits(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    greys = np.asarray(image)
    if image.mode == "F":
        if not (greys.min() >= 0 and greys.max() <= 1):
            raise ValueError(
                f"its floating-point greys go from {greys.min():.4g} to {greys.max():.4g}, and "
                "which is white nobody knows: scale them to [0, 1], or save 8 or 16 bits"
            )
        shares = greys.astype(np.float64)
    elif image.mode == "I" and image.format not in _WIDENED:
        raise ValueError(
            "which of its 32-bit greys is white nobody knows: scale them and save 8 or 16 bits"
        )
    else:
        shares = greys / 65535
    return Image.fromarray((shares * 255).round().astype(np.uint8))


class ToPicture(nn.Module):
    """The first step of :meth:`Preprocessing.transform`: whatever is an image, by one rule."""

    def __init__(self, channels: int) -> None:
        """Raises ValueError for a number of channels that no picture is read with."""
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(
                f"pictures are read as grey or RGB, not with {channels} channels: make the "
                "tensors yourself, and normalise them with preprocessing.normalize"
            )
        self.mode = "RGB" if channels == 3 else "L"

    def forward(self, image: Any) -> Any:
        """A picture from a PIL image, or from an array (height, width[, 3]) of 8 or 16 bits.

        A tensor ([batch,] channel, height, width), of 8 bits or in [0, 1], stays one. Raises
        ValueError for what is no image.
        """
        from PIL import Image

        if isinstance(image, Tensor):
            return self._tensor(image)
        if isinstance(image, np.ndarray):
            image = _from_array(image)
        if not isinstance(image, Image.Image):
            raise ValueError(
                f"this is a {type(image).__name__}, no image: open files with PIL.Image.open, and "
                "give images one by one"
            )
        return picture(image, self.mode)

    def _tensor(self, image: Tensor) -> Tensor:
        channels = 3 if self.mode == "RGB" else 1
        if image.ndim < 3 or image.shape[-3] not in (1, channels):
            raise ValueError(
                f"a tensor must be (channel, height, width) with {channels} channels, not "
                f"{tuple(image.shape)}"
            )
        known = image.is_floating_point() and bool(((image >= 0) & (image <= 1)).all())
        if image.dtype != torch.uint8 and not known:
            raise ValueError(
                f"a tensor must be uint8, or floating-point in [0, 1], not {image.dtype} from "
                f"{float(image.min()):.4g} to {float(image.max()):.4g}"
            )
        return image.expand(*image.shape[:-3], channels, *image.shape[-2:])


def _from_array(array: Any) -> "Image.Image":
    from PIL import Image

    grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[2] == 3
    if array.size and (
        (array.dtype == np.uint8 and (grey or colour)) or (array.dtype == np.uint16 and grey)
    ):
        return Image.fromarray(array)
    raise ValueError(
        f"an array must be uint8 (height, width) or (height, width, 3), or uint16 (height, width), "
        f"not {array.dtype} {array.shape}: values in [0, 1] are brought there by "
        "(array * 255).round().astype('uint8')"
    )
