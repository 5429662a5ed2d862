"""What people call a model."""

import os
from pathlib import Path


def label(source: str) -> str:
    """A folder's name, or the Hub's; a run keeps its model in ``RUN/model``."""
    if not Path(source).is_dir():
        return source
    folder = Path(os.path.abspath(source))
    return folder.parent.name if folder.name == "model" else folder.name
