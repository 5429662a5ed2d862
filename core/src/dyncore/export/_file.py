"""Writing the file: complete before it gets its name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def checked_target(file: str | os.PathLike[str], suffix: str) -> Path:
    """The file to write. Raises ValueError for another suffix, or where a folder has its name."""
    target = Path(file)
    if target.suffix != suffix:
        raise ValueError(f"output must end in {suffix}, not {target.name!r}")
    if target.is_dir():
        raise ValueError(f"output {target} is a folder: name a file that ends in {suffix}")
    return target


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """A temporary file of the same suffix; it becomes ``target`` if nothing was raised."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
