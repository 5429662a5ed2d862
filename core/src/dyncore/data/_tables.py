"""From a table of the `datasets` library to encoded images and class numbers."""

import datasets

from dyncore.data._found import LabelledImages

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")


def read_table(table: datasets.Dataset, where: str) -> LabelledImages:
    """Find the columns of a table; ValueError if they are missing or hold something else."""
    image = _column(table, _IMAGE_COLUMNS, "image", where)
    label = _column(table, _LABEL_COLUMNS, "label", where)
    image_type, label_type = table.features[image], table.features[label]
    if isinstance(image_type, datasets.Image):
        table = table.cast_column(image, datasets.Image(decode=False))
    elif not (isinstance(image_type, dict) and image_type.keys() == {"bytes", "path"}):
        raise ValueError(
            f"{where}: column {image!r} must hold encoded images, as a struct of bytes and path, "
            f"not {image_type}"
        )
    named = isinstance(label_type, datasets.ClassLabel)
    numbered = isinstance(label_type, datasets.Value) and "int" in label_type.dtype
    if not named and not numbered:
        raise ValueError(f"{where}: column {label!r} must hold class numbers, not {label_type}")
    return LabelledImages(
        where,
        table.select_columns([image])[image],
        table[label][:],
        tuple(label_type.names) if named else None,
    )


def _column(table: datasets.Dataset, names: tuple[str, ...], kind: str, where: str) -> str:
    present = [name for name in names if name in table.column_names]
    if not present:
        raise ValueError(
            f"{where}: there is no {kind} column; it must be called {' or '.join(names)}, and the "
            f"columns are {', '.join(table.column_names)}"
        )
    return present[0]
