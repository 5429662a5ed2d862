"""From the name of a data set to its splits."""

import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from dyncore.data._dataset import Dataset
from dyncore.data._digits import digits
from dyncore.data._errors import DataFileError
from dyncore.data._file import FileSplit
from dyncore.data._found import TRAINING_SPLIT, LabelledImages
from dyncore.data._memory import MemorySplit
from dyncore.data._preprocessing import MAX_SIDE, Preprocessing
from dyncore.data._split import Split
from dyncore.data._statistics import IMAGENET, at_size, measure

logger = logging.getLogger("dyncore")


def load_dataset(
    source: str,
    *,
    skip_corrupt: bool = False,
    size: int | None = None,
    only: Literal["train", "test"] | None = None,
) -> Dataset:
    """Load a data set of images.

    Small square images (up to 64 x 64) are decoded here, once, into a `MemorySplit`; others when
    they are read, from a `FileSplit`. What more than half of the first split's images are decides;
    those of another size are resized to the usual one, with a warning that names them. The
    `datasets` library keeps what it reads from the Hub and from parquet files in its cache, in a
    form that can be read in any order.

    Args:
        source: One of

            - `"digits"`: scikit-learn's handwritten digits, 8 x 8 pixels, 1438 to train on and
              359 to test on (of each class, every fifth). They are the test part of "Optical
              Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (UCI Machine
              Learning Repository, 1998; CC BY 4.0);
            - a local folder of parquet files in the Hub's layout, or of images by class: in
              `train/CLASS/` and `val/CLASS/`, or in `CLASS/` alone, of each of which every fifth
              image is held out, to test on;
            - an id on the Hub: `uoft-cs/cifar10`, `uoft-cs/cifar100`, `ILSVRC/imagenet-1k`.
        skip_corrupt: Read every image once, warn of those that cannot be read, by row, and leave
            them out. Rows are then numbered without them. Otherwise such an image is an error:
            at once in a `MemorySplit`, when it is read in a `FileSplit`.
        size: Height and width that images are brought to, in place of the usual size of small
            ones, and of 224 of others. Small ones are held no larger than they are.
        only: Read this split alone; the other one is None then, as if it were not there. Classes
            are those of the split, but where class folders name them.

    Raises:
        FileNotFoundError: There is no data set there, or the Hub does not give it.
        DataFileError: Something in it is wrong; the message names the file, or the split and row.
            It is a ValueError.
    """
    if size is not None and not 1 <= size <= MAX_SIDE:
        raise ValueError(f"size must be 1 to {MAX_SIDE} pixels, not {size}")
    if source == "digits":
        if size not in (None, 8):
            raise ValueError(f"'digits' are 8 x 8 pixels, not {size}: leave out size")
        return _alone(digits(), only)
    # Imported here because they build on datasets, which takes seconds, and on Pillow.
    from dyncore.data._folder import tables_in_folder
    from dyncore.data._hub import tables_on_hub
    from dyncore.data._skip import without_corrupt
    from dyncore.data._tables import read_table

    folder = _folder(source).absolute()  # wherever the process goes later
    allowed: tuple[Path, ...]
    if os.path.isdir(folder):
        tables, allowed = tables_in_folder(folder, only), (folder,)
    elif re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) and not os.path.exists(folder):
        tables, allowed = tables_on_hub(source, only)
    else:
        raise FileNotFoundError(
            f"{source}: there is no such folder; a data set is a local folder, an id on the Hub "
            "such as 'uoft-cs/cifar10', or 'digits'"
        )
    if not tables:
        raise DataFileError(f"data set {folder.name!r} has no {only} split")
    parts = {
        split: read_table(table, f"{source}, {split} split", allowed)
        for split, table in tables.items()
    }
    first = next(iter(parts.values()))  # the training split, if there is one
    classes = first.classes()
    parts = {split: part.numbered_by(classes) for split, part in parts.items()}
    if skip_corrupt:
        parts = {split: without_corrupt(part) for split, part in parts.items()}
    splits, preprocessing = _hold(list(parts.values()), len(classes), size)
    by_name = dict(zip(parts, splits, strict=True))
    return Dataset(
        name=folder.resolve().name,
        classes=classes,
        train=by_name.pop(TRAINING_SPLIT, None),
        test=next(iter(by_name.values()), None),
        preprocessing=preprocessing,
    )


def _alone(dataset: Dataset, only: Literal["train", "test"] | None) -> Dataset:
    if only is None:
        return dataset
    return replace(dataset, train=None) if only == "test" else replace(dataset, test=None)


def _folder(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # ~somebody, who has no home
        return Path(source)


def _hold(
    parts: list[LabelledImages], classes: int, size: int | None
) -> tuple[list[Split], Preprocessing]:
    """Decode all splits into memory, or none of them, as the first one's images are."""
    from dyncore.data._hold import decode_all, usual_side

    labels = [part.labels(classes) for part in parts]
    side = usual_side(parts[0])
    if side is None:
        chosen = IMAGENET if size is None else at_size(IMAGENET, size)
        logger.info(
            "%s: images are cut to %d x %d pixels and normalised by ImageNet's statistics",
            *(parts[0].where, chosen.size, chosen.size),
        )
        files = zip(parts, labels, strict=True)
        return [FileSplit(part.images, rows, part.where) for part, rows in files], chosen
    held = side if size is None else min(size, side)
    decoded = [decode_all(part.images, part.where, held) for part in parts]
    seen = measure(decoded[0])
    seen = seen if size is None else replace(seen, size=size)
    return [MemorySplit(*both) for both in zip(decoded, labels, strict=True)], seen
