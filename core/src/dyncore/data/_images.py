"""The image column of a table that a stranger wrote."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, final, overload


class EncodedImage(TypedDict):
    """An image file, in the form of the `datasets` library: its bytes, or where it lies."""

    bytes: bytes | None
    path: str | None


@final
class TableImages(Sequence[EncodedImage | None]):
    """Images by row. A file that the table only names is read where it may lie, nowhere else."""

    def __init__(self, column: Sequence[Any], folders: tuple[Path, ...]) -> None:
        """`folders` are those whose files the table may name: its own, or the Hub's cache."""
        self._column = column
        self._here = os.getcwd()  # relative names are of files here, wherever the process goes
        self._folders = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, row: int) -> EncodedImage | None: ...

    @overload
    def __getitem__(self, row: slice) -> list[EncodedImage | None]: ...

    def __getitem__(self, row: int | slice) -> EncodedImage | list[EncodedImage | None] | None:
        try:
            found: Any = self._column[row]
        except ValueError:  # text that is no UTF-8: a damaged file
            if not isinstance(row, slice):
                return None
            return [self[number] for number in range(*row.indices(len(self)))]
        return list(map(self._allowed, found)) if isinstance(row, slice) else self._allowed(found)

    def _allowed(self, image: EncodedImage | None) -> EncodedImage | None:
        if image is None or image["bytes"] is not None or image["path"] is None:
            return image
        path = os.path.abspath(os.path.join(self._here, image["path"]))
        return {"bytes": None, "path": path} if path.startswith(self._folders) else None


@final
class ChosenImages(Sequence[EncodedImage | None]):
    """Some rows of a split, numbered anew."""

    def __init__(self, images: Sequence[EncodedImage | None], rows: Sequence[int]) -> None:
        self._images = images
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, row: int) -> EncodedImage | None: ...

    @overload
    def __getitem__(self, row: slice) -> list[EncodedImage | None]: ...

    def __getitem__(self, row: int | slice) -> EncodedImage | list[EncodedImage | None] | None:
        if isinstance(row, slice):
            return [self._images[chosen] for chosen in self._rows[row]]
        return self._images[self._rows[row]]
