"""From the bytes of an image file to pixels."""

import functools
import io

from PIL import Image, UnidentifiedImageError

from dyncore.data._errors import DataFileError
from dyncore.data._images import EncodedImage
from dyncore.data._picture import picture

_FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"),
    *("AVIF", "ICO", "JPEG2000", "QOI", "SGI"),
)
"""What is decoded. Among Pillow's others is one (EPS) that starts another program, and there are
those that know no file of theirs (TGA): damaged files of another kind would be taken for one."""


@functools.cache
def formats() -> tuple[str, ...]:
    """Those that this Pillow knows."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@functools.cache
def suffixes() -> frozenset[str]:
    """Of the names of their files, in lower case, with the dot."""
    known = Image.registered_extensions()  # of all formats
    read = (*formats(), "MPO")  # several JPEGs in one file, of which the first is read
    return frozenset(suffix for suffix, name in known.items() if name in read)


def decode(image: EncodedImage | None, where: str, *, draft: bool = False) -> Image.Image:
    """Decode to RGB; DataFileError names `where`, and the file if it has a name.

    `draft` reads a JPEG at an eighth of its size: all of the file, a part of the work.
    """
    file, name = _file(image, where)
    try:
        with Image.open(file, formats=formats()) as opened:
            if draft:
                opened.draft("RGB", (1, 1))
            return picture(opened)
    except Exception as error:  # Pillow's decoders raise many kinds for bytes that are no image
        raise _unreadable(error, name) from error


def size_of(image: EncodedImage | None, where: str) -> tuple[int, int]:
    """Width and height as the file's header says; errors as :func:`decode`'s."""
    file, name = _file(image, where)
    try:
        with Image.open(file, formats=formats()) as opened:
            return opened.size
    except Exception as error:
        raise _unreadable(error, name) from error


def _file(image: EncodedImage | None, where: str) -> tuple[str | io.BytesIO, str]:
    """What Pillow opens, and what errors call it."""
    data, path = (image["bytes"], image["path"]) if image else (None, None)
    file = path if data is None else io.BytesIO(data)
    if file is None:
        raise DataFileError(f"{where}: there is no image; fill it in or remove the row")
    return file, f"{where} ({path})" if path and path.isprintable() else where


def _unreadable(error: Exception, name: str) -> DataFileError:
    reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
    return DataFileError(
        f"{name}: this is not a readable image ({reason}); replace it, remove it, or leave "
        "out all such images with --skip-corrupt (in Python: skip_corrupt=True)"
    )
