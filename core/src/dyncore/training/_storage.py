"""Writing to a disk that may be full, or to a folder that may not be ours."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


class StorageError(OSError):
    """A run's file could not be written; the message says which, why, and what is left."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while ``path`` is written into a :class:`StorageError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}. Free space or get the right to write there, then go "
            "on with --resume auto; earlier checkpoints are as they were"
        ) from error


def sync(folder: Path) -> None:
    """Wait until the files of ``folder`` are on the disk, not only in the system's memory."""
    for file in folder.iterdir():
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())
