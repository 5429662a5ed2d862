"""From a table of the `datasets` library to encoded images and class numbers."""

from pathlib import Path

import datasets

from dyncore.data._errors import DataFileError
from dyncore.data._found import LabelledImages
from dyncore.data._images import TableImages

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")


def read_table(table: datasets.Dataset, where: str, folders: tuple[Path, ...]) -> LabelledImages:
    """Find the columns of a table; DataFileError if they are missing or hold something else.

    Images may lie in the table, or in files of `folders` that it names.
    """
    image = _column(table, _IMAGE_COLUMNS, "image", where)
    label = _column(table, _LABEL_COLUMNS, "label", where)
    image_type, label_type = table.features[image], table.features[label]
    if isinstance(image_type, datasets.Image):
        table = table.cast_column(image, datasets.Image(decode=False))
    elif not (isinstance(image_type, dict) and image_type.keys() == {"bytes", "path"}) or (
        getattr(image_type["bytes"], "dtype", None) not in ("binary", "large_binary")
        or getattr(image_type["path"], "dtype", None) not in ("string", "large_string", "null")
    ):
        raise DataFileError(
            f"{where}: column {image!r} must hold encoded images, as a struct of bytes and path, "
            f"not {image_type}"
        )
    named = isinstance(label_type, datasets.ClassLabel)
    numbered = isinstance(label_type, datasets.Value) and "int" in label_type.dtype
    if not named and not numbered:
        raise DataFileError(f"{where}: column {label!r} must hold class numbers, not {label_type}")
    if named and not all(isinstance(name, str) for name in label_type.names):
        raise DataFileError(f"{where}: the classes of column {label!r} must have text for names")
    return LabelledImages(
        where,
        TableImages(table.select_columns([image])[image], folders),
        table[label][:],
        tuple(label_type.names) if named else None,
    )


def _column(table: datasets.Dataset, names: tuple[str, ...], kind: str, where: str) -> str:
    present = [name for name in names if name in table.column_names]
    if not present:
        raise DataFileError(
            f"{where}: there is no {kind} column; it must be called {' or '.join(names)}, and the "
            f"columns are {', '.join(table.column_names)[:500]}"
        )
    return present[0]
