"""Leaving out images that cannot be read."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from tqdm.auto import tqdm

from dyncore.data._decode import decode
from dyncore.data._errors import DataFileError
from dyncore.data._found import LabelledImages
from dyncore.data._images import ChosenImages, EncodedImage

logger = logging.getLogger("dyncore")

LISTED = 100
"""Rows that the warning names one by one."""
_CHUNK = 1024


def without_corrupt(part: LabelledImages) -> LabelledImages:
    """Read every image once, warn of those that cannot be read, and return the others.

    Order and processes see the same rows as without the option, but for those. Raises
    DataFileError if none is left.
    """
    problems: dict[int, str] = {}
    total = len(part.numbers)
    with (
        ThreadPoolExecutor() as pool,
        tqdm(
            total=total, desc=f"checking {part.where}", unit="image", delay=2, disable=None
        ) as progress,
    ):
        for start in range(0, total, _CHUNK):
            chunk = part.images[start : start + _CHUNK]
            found = enumerate(pool.map(partial(_problem, where=part.where), chunk), start)
            problems |= {row: problem for row, problem in found if problem}
            progress.update(len(chunk))
    if not problems:
        return part
    if len(problems) == total:
        raise DataFileError(
            f"{part.where}: none of the {total} images can be read; row 0: {problems[0]}"
        )
    listed = "; ".join(f"row {row}: {reason}" for row, reason in list(problems.items())[:LISTED])
    more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    logger.warning(
        "%s: left out %d of %d images: %s%s", part.where, len(problems), total, listed, more
    )
    rows = [row for row in range(total) if row not in problems]
    return replace(
        part,
        where=f"{part.where} without {len(problems)} unreadable rows",
        images=ChosenImages(part.images, rows),
        numbers=[part.numbers[row] for row in rows],
    )


def _problem(image: EncodedImage | None, where: str) -> str | None:
    try:
        decode(image, where, draft=True)
    except DataFileError as error:
        return str(error.__cause__ or "there is no image")
    return None
