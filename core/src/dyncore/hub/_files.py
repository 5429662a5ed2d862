"""The files of a model, by the names that the Hub gives them."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CASCADE_FILE = "cascade.json"
MEMBERS = "members"
"""Folder of a cascade's members, each one in a folder by its number."""
PATTERNS = (
    CONFIG_FILE,
    WEIGHTS_FILE,
    CASCADE_FILE,
    f"{MEMBERS}/?/{CONFIG_FILE}",
    f"{MEMBERS}/?/{WEIGHTS_FILE}",
)
"""What is fetched and pushed: a network's two files, or a cascade's and its members'."""


def patterns(subfolder: str | None) -> list[str]:
    """Those of a model that lies in a folder of its repository."""
    return [f"{subfolder}/{pattern}" if subfolder else pattern for pattern in PATTERNS]


def files_of(folder: Path) -> list[str]:
    """The model's files in a folder, relative to it, with slashes."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return model_files(names)


def model_files(names: Iterable[str]) -> list[str]:
    """Those of the files that belong to a model."""
    return sorted(name for name in names if any(fnmatchcase(name, p) for p in PATTERNS))


def is_complete(files: list[str]) -> bool:
    """Whether these are a network's two files, or a cascade's with at least one member's."""
    if CASCADE_FILE in files:
        return any(name.startswith(f"{MEMBERS}/") for name in files)
    return {CONFIG_FILE, WEIGHTS_FILE} <= set(files)
