"""Finding the images of a local folder."""

import glob
import logging
import os
from collections import Counter
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

import datasets
import pyarrow
import pyarrow.parquet

from dyncore.data._decode import suffixes
from dyncore.data._errors import DataFileError
from dyncore.data._found import EVALUATION_SPLITS, TRAINING_SPLIT, alone, choose_splits

logger = logging.getLogger("dyncore")

_SPLITS = (TRAINING_SPLIT, *EVALUATION_SPLITS)
_COMMON_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
"""Of those that are read; these are what messages name."""
_LAYOUTS = """A data set is either
- parquet files as on the Hub, in the folder itself or in its data/: train-*.parquet and
  validation-*.parquet or test-*.parquet; or
- images by class: train/CLASS/*.png, or of any common format, in sub-folders, too, and the same in
  validation/, valid/, val/, dev/, eval/ or test/; or
- CLASS/*.png alone, at least two classes: every fifth image of each is held out to test on.
One of two splits may be missing."""
HELD_OUT = slice(4, None, 5)
"""Of a class's images in the order of their names, where a folder has no splits."""


def tables_in_folder(
    folder: Path, only: Literal["train", "test"] | None = None
) -> dict[str, datasets.Dataset]:
    """Return the tables of the splits in `folder`, or of one of them.

    FileNotFoundError says what is missing, DataFileError which file cannot be read.
    """
    for parent in (folder, folder / "data"):
        files = {split: sorted(parent.glob(f"{split}-*.parquet")) for split in _SPLITS}
        if chosen := choose_splits({split: paths for split, paths in files.items() if paths}):
            return _from_parquet(folder, alone(chosen, only))
    if folders := choose_splits({s: folder / s for s in _SPLITS if (folder / s).is_dir()}):
        return _from_class_folders(folders, only)
    if sum(map(_holds_images, _visible(folder))) > 1:
        return _from_classes(folder, _subfolders(folder), only)
    raise FileNotFoundError(f"{folder}: there is no data set in this folder. {_LAYOUTS}")


def _from_parquet(folder: Path, files: dict[str, list[Path]]) -> dict[str, datasets.Dataset]:
    patterns = {}
    for split, paths in files.items():
        patterns[split] = [glob.escape(str(path)) for path in paths if _count_rows(path)]
        if not patterns[split]:
            raise DataFileError(
                f"{folder}, {split} split: it is empty; add rows or remove its files"
            )
    try:
        # Not load_dataset("parquet", ...), which asks the Hub to count each call.
        return {
            split: datasets.Dataset.from_parquet(paths, split=datasets.NamedSplit(split))
            for split, paths in patterns.items()
        }
    except Exception as error:  # what `datasets` makes of strange schemas is not documented
        reason = str(error.__cause__ or error)[:300]
        raise DataFileError(
            f"{folder}: the parquet files cannot be read ({reason}); fetch them again, all from "
            "the same place"
        ) from error


def _count_rows(path: Path) -> int:
    try:
        rows: int = pyarrow.parquet.read_metadata(path).num_rows
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataFileError(
            f"{path}: this is not a readable parquet file ({error}); fetch it again"
        ) from error
    return rows


def _from_class_folders(
    folders: dict[str, Path], only: Literal["train", "test"] | None
) -> dict[str, datasets.Dataset]:
    classes = _subfolders(next(iter(folders.values())))
    tables = {}
    for split, folder in alone(folders, only).items():
        if unknown := sorted(set(_subfolders(folder)) - set(classes)):
            raise DataFileError(
                f"{folder / unknown[0]}: the training split has no class {unknown[0]!r}; rename "
                "the folder or remove it"
            )
        tables[split] = _table(_files(folder, _subfolders(folder)), classes)
    return tables


def _holds_images(path: Path) -> bool:
    """Whether it is a folder with images in it, not deeper."""
    return path.is_dir() and any(file.suffix.lower() in suffixes() for file in _visible(path))


def _from_classes(
    folder: Path, classes: list[str], only: Literal["train", "test"] | None
) -> dict[str, datasets.Dataset]:
    """Of a folder without splits: some images of each class are held out."""
    files = _files(folder, classes)
    by_class = groupby(files, key=itemgetter(1))  # which they come in the order of
    test = {file for _, own in by_class for file in [*own][HELD_OUT]}
    parts = {TRAINING_SPLIT: [f for f in files if f not in test]}
    parts |= {"test": [f for f in files if f in test]} if test else {}
    logger.warning(
        "%s: there is no train/ and val/ in it: every fifth image of each class is held out to "
        "test on, %d of %d",
        *(folder, len(test), len(files)),
    )
    return {split: _table(part, classes) for split, part in alone(parts, only).items()}


def _files(folder: Path, classes: list[str]) -> list[tuple[Path, str]]:
    """Every image with its class; what is left out is said."""
    left_out: Counter[str] = Counter()
    files = [(path, name) for name in classes for path in _images(folder / name, left_out)]
    left_out.update(_kind(path) for path in _visible(folder) if path.is_file())
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in left_out.most_common())
        logger.warning(
            "%s: left out %d files that are no images of a class: %s",
            *(folder, left_out.total(), kinds),
        )
    return files


def _table(files: list[tuple[Path, str]], classes: list[str]) -> datasets.Dataset:
    types = {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=classes)}
    columns = {
        "image": [str(path) for path, _ in files],
        "label": [classes.index(name) for _, name in files],
    }
    return datasets.Dataset.from_dict(columns, features=datasets.Features(types))


def _subfolders(folder: Path) -> list[str]:
    names = [path.name for path in _visible(folder) if path.is_dir()]
    if not names:
        raise FileNotFoundError(f"{folder}: there are no class folders in it. {_LAYOUTS}")
    return sorted(names)


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _images(folder: Path, left_out: Counter[str]) -> list[Path]:
    """The images in ``folder`` and its sub-folders; other files are counted by their kind."""
    paths = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in suffixes():
                paths.append(path)
            else:
                left_out[_kind(path)] += 1
    if not paths:
        raise FileNotFoundError(
            f"{folder}: there is no image ({', '.join(_COMMON_SUFFIXES)}, ...) in this class; add "
            "some or remove the folder"
        )
    return sorted(paths)


def _kind(path: Path) -> str:
    return path.suffix.lower() or "without a suffix"
