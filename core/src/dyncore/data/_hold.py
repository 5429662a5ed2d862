"""Whether images are small enough to be held decoded, and which size they are given."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from dyncore.data._decode import decode, size_of
from dyncore.data._errors import DataFileError
from dyncore.data._found import LabelledImages
from dyncore.data._images import EncodedImage

logger = logging.getLogger("dyncore")

MAX_SIDE_IN_MEMORY = 64
"""Images up to this height and width are held decoded."""
LOOKED_AT = 1000
"""Images of a split whose sizes decide."""
LISTED = 5
"""Images of another size that are named one by one."""

_CHUNK = 1024


def usual_side(part: LabelledImages) -> int | None:
    """Height and width of more than half of the images, if they are square and small.

    The headers of up to 1,000 images are read, spread evenly over the split; those that cannot be
    read do not count. None, and a message, where there is no such size. Raises DataFileError if
    the first image cannot be read, and none of the others.
    """
    count = len(part.numbers)
    rows = range(0, count, -(-count // LOOKED_AT))
    sizes: Counter[tuple[int, int]] = Counter()
    for row in rows:
        try:
            sizes[size_of(part.images[row], f"{part.where}, row {row}")] += 1
        except DataFileError:
            continue
    if not sizes:
        decode(part.images[0], f"{part.where}, row 0")  # raises, and says why
    (width, height), times = sizes.most_common(1)[0]
    if width == height <= MAX_SIDE_IN_MEMORY:
        if 2 * times > sizes.total():
            return width
        logger.info(
            "%s: the most common size of its images is %d x %d, but only %d of %d have it",
            *(part.where, width, height, times, sizes.total()),
        )
    return None


def decode_all(
    images: Sequence[EncodedImage | None], where: str, side: int
) -> UInt8[Tensor, "row 3 {side} {side}"]:
    """Decode every image; those of another size are resized, counted and named."""
    decoded = np.empty((len(images), side, side, 3), np.uint8)
    others: dict[int, tuple[int, int]] = {}
    title = f"decoding {where}"
    with tqdm(total=len(images), desc=title, unit="image", delay=2, disable=None) as progress:
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            for row, encoded in enumerate(chunk, start):
                image = decode(encoded, f"{where}, row {row}")
                if image.size != (side, side):
                    others[row] = image.size
                    image = image.resize((side, side), Image.Resampling.BILINEAR)
                decoded[row] = np.asarray(image)
            progress.update(len(chunk))
    if others:
        _say(images, where, side, others)
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous()


def _say(
    images: Sequence[EncodedImage | None],
    where: str,
    side: int,
    others: dict[int, tuple[int, int]],
) -> None:
    listed = [_named(row, images[row], size) for row, size in list(others.items())[:LISTED]]
    more = f"; and {len(others) - LISTED} more" if len(others) > LISTED else ""
    logger.warning(
        "%s: %d of %d images are not of the usual size, %d x %d, and are resized to it: %s%s",
        *(where, len(others), len(images), side, side, "; ".join(listed), more),
    )


def _named(row: int, image: EncodedImage | None, size: tuple[int, int]) -> str:
    path = image["path"] if image else None
    name = f" ({path})" if path and path.isprintable() else ""
    return f"row {row}{name}: {size[0]} x {size[1]}"
