"""From the bytes of an image file to pixels."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm.auto import tqdm

from dyncore.data._errors import DataFileError
from dyncore.data._images import EncodedImage

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded; among Pillow's others is one (EPS) that starts another program."""
MAX_SIDE_IN_MEMORY = 64
"""Images up to this height and width are held decoded."""

_CHUNK = 1024


def decode(image: EncodedImage | None, where: str, *, draft: bool = False) -> Image.Image:
    """Decode to RGB; DataFileError names `where`, and the file if it has a name.

    `draft` reads a JPEG at an eighth of its size: all of the file, a part of the work.
    """
    data, path = (image["bytes"], image["path"]) if image else (None, None)
    file = path if data is None else io.BytesIO(data)
    if file is None:
        raise DataFileError(f"{where}: there is no image; fill it in or remove the row")
    name = f"{where} ({path})" if path and path.isprintable() else where
    try:
        with Image.open(file, formats=FORMATS) as opened:
            if draft:
                opened.draft("RGB", (1, 1))
            return opened.convert("RGB")
    except Exception as error:  # Pillow's decoders raise many kinds for bytes that are no image
        reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise DataFileError(
            f"{name}: this is not a readable image ({reason}); replace it, remove it, or leave "
            "out all such images with skip_corrupt"
        ) from error


def decode_all(
    images: Sequence[EncodedImage | None], where: str
) -> UInt8[Tensor, "row 3 side side"] | None:
    """Decode every image, or return None if they are not all square, small and of one size."""
    size = decode(images[0], f"{where}, row 0").size
    side = size[0]
    if size != (side, side) or side > MAX_SIDE_IN_MEMORY:
        return None
    decoded = np.empty((len(images), side, side, 3), np.uint8)
    with tqdm(total=len(images), desc=f"decoding {where}", unit="image", delay=2) as progress:
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            for row, encoded in enumerate(chunk, start):
                image = decode(encoded, f"{where}, row {row}")
                if image.size != size:
                    return None
                decoded[row] = np.asarray(image)
            progress.update(len(chunk))
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous()
