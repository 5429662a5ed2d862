"""Files of a user that can be made again."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder ``name`` of ours in the user's cache: ``XDG_CACHE_HOME``, else ``~/.cache``.

    It need not exist. Raises FileNotFoundError for a user who has no home.
    """
    try:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise FileNotFoundError("there is no home folder: set XDG_CACHE_HOME") from error
    return Path(root) / "dyncore" / name
