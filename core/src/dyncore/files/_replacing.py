"""Files that are complete before they get their names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside ``target``; it becomes ``target`` if nothing was raised, else goes.

    Its name, ``.PROCESS.NAME``, has the suffix of the target, which some writers look at.
    """
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
