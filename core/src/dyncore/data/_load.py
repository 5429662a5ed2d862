"""From the name of a data set to its splits."""

import os
import re
from pathlib import Path

from torch import Tensor

from dyncore.data._dataset import Dataset
from dyncore.data._digits import digits
from dyncore.data._file import FileSplit
from dyncore.data._found import TRAINING_SPLIT, LabelledImages
from dyncore.data._memory import MemorySplit
from dyncore.data._preprocessing import Preprocessing
from dyncore.data._split import Split
from dyncore.data._statistics import IMAGENET, measure


def load_dataset(source: str, *, skip_corrupt: bool = False) -> Dataset:
    """Load a data set of images.

    Small square images of one size (up to 64 x 64) are decoded here, once, into a `MemorySplit`;
    others when they are read, from a `FileSplit`. The `datasets` library keeps what it reads from
    the Hub and from parquet files in its cache, in a form that can be read in any order.

    Args:
        source: One of

            - `"digits"`: scikit-learn's handwritten digits, 8 x 8 pixels, 1438 to train on and
              359 to test on (of each class, every fifth). They are the test part of "Optical
              Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (UCI Machine
              Learning Repository, 1998; CC BY 4.0);
            - a local folder of parquet files in the Hub's layout, or of images by class;
            - an id on the Hub: `uoft-cs/cifar10`, `uoft-cs/cifar100`, `ILSVRC/imagenet-1k`.
        skip_corrupt: Read every image once, warn of those that cannot be read, by row, and leave
            them out. Rows are then numbered without them. Otherwise such an image is an error:
            at once in a `MemorySplit`, when it is read in a `FileSplit`.

    Raises:
        FileNotFoundError: There is no data set there, or the Hub does not give it.
        DataFileError: Something in it is wrong; the message names the file, or the split and row.
            It is a ValueError.
    """
    if source == "digits":
        return digits()
    # Imported here because they build on datasets, which takes seconds, and on Pillow.
    from dyncore.data._folder import tables_in_folder
    from dyncore.data._hub import tables_on_hub
    from dyncore.data._skip import without_corrupt
    from dyncore.data._tables import read_table

    folder = _folder(source)
    allowed: tuple[Path, ...]
    if os.path.isdir(folder):
        tables, allowed = tables_in_folder(folder), (folder,)
    elif re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) and not os.path.exists(folder):
        tables, allowed = tables_on_hub(source)
    else:
        raise FileNotFoundError(
            f"{source}: there is no such folder; a data set is a local folder, an id on the Hub "
            "such as 'uoft-cs/cifar10', or 'digits'"
        )
    parts = {
        split: read_table(table, f"{source}, {split} split", allowed)
        for split, table in tables.items()
    }
    first = next(iter(parts.values()))  # the training split, if there is one
    classes = first.classes()
    if skip_corrupt:
        parts = {split: without_corrupt(part) for split, part in parts.items()}
    splits, preprocessing = _hold(list(parts.values()), len(classes))
    by_name = dict(zip(parts, splits, strict=True))
    return Dataset(
        name=folder.resolve().name,
        classes=classes,
        train=by_name.pop(TRAINING_SPLIT, None),
        test=next(iter(by_name.values()), None),
        preprocessing=preprocessing,
    )


def _folder(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # ~somebody, who has no home
        return Path(source)


def _hold(parts: list[LabelledImages], classes: int) -> tuple[list[Split], Preprocessing]:
    """Decode all splits into memory, or none of them if one is not fit for it."""
    from dyncore.data._decode import decode_all

    labels = [part.labels(classes) for part in parts]
    decoded: list[Tensor] = []
    for part in parts:
        images = decode_all(part.images, part.where)
        if images is None or (decoded and images.shape[1:] != decoded[0].shape[1:]):
            files = zip(parts, labels, strict=True)
            return [FileSplit(part.images, rows, part.where) for part, rows in files], IMAGENET
        decoded.append(images)
    return [MemorySplit(*held) for held in zip(decoded, labels, strict=True)], measure(decoded[0])
