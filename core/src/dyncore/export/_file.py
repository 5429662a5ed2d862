"""Where a file may be written."""

import os
from pathlib import Path


def checked_target(file: str | os.PathLike[str], suffix: str) -> Path:
    """The file to write. Raises ValueError for another suffix, or where a folder has its name."""
    target = Path(file)
    if target.suffix != suffix:
        raise ValueError(f"output must end in {suffix}, not {target.name!r}")
    if target.is_dir():
        raise ValueError(f"output {target} is a folder: name a file that ends in {suffix}")
    return target
