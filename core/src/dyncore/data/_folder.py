"""Finding the images of a local folder."""

import glob
import logging
import os
from collections import Counter
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet

from dyncore.data._decode import suffixes
from dyncore.data._errors import DataFileError
from dyncore.data._found import EVALUATION_SPLITS, TRAINING_SPLIT, choose_splits

logger = logging.getLogger("dyncore")

_SPLITS = (TRAINING_SPLIT, *EVALUATION_SPLITS)
_COMMON_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
"""Of those that are read; these are what messages name."""
_LAYOUTS = """A data set is either
- parquet files as on the Hub, in the folder itself or in its data/: train-*.parquet and
  validation-*.parquet or test-*.parquet; or
- images by class: train/CLASS/*.png, or of any common format, in sub-folders, too, and the same in
  validation/, valid/, val/, dev/, eval/ or test/.
One of its two splits may be missing."""


def tables_in_folder(folder: Path) -> dict[str, datasets.Dataset]:
    """Return the tables of the splits in `folder`.

    FileNotFoundError says what is missing, DataFileError which file cannot be read.
    """
    for parent in (folder, folder / "data"):
        files = {split: sorted(parent.glob(f"{split}-*.parquet")) for split in _SPLITS}
        if chosen := choose_splits({split: paths for split, paths in files.items() if paths}):
            return _from_parquet(folder, chosen)
    if folders := choose_splits({s: folder / s for s in _SPLITS if (folder / s).is_dir()}):
        return _from_class_folders(folders)
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


def _from_class_folders(folders: dict[str, Path]) -> dict[str, datasets.Dataset]:
    classes = _subfolders(next(iter(folders.values())))
    types = {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=classes)}
    tables = {}
    for split, folder in folders.items():
        if unknown := sorted(set(_subfolders(folder)) - set(classes)):
            raise DataFileError(
                f"{folder / unknown[0]}: the training split has no class {unknown[0]!r}; rename "
                "the folder or remove it"
            )
        left_out: Counter[str] = Counter()
        files = [
            (path, name)
            for name in _subfolders(folder)
            for path in _images(folder / name, left_out)
        ]
        left_out.update(_kind(path) for path in _visible(folder) if path.is_file())
        if left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in left_out.most_common())
            logger.warning(
                "%s: left out %d files that are no images of a class: %s",
                *(folder, left_out.total(), kinds),
            )
        columns = {
            "image": [str(path) for path, _ in files],
            "label": [classes.index(name) for _, name in files],
        }
        tables[split] = datasets.Dataset.from_dict(columns, features=datasets.Features(types))
    return tables


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
