"""Names of strangers: which may become folders, and how they are shown."""

import re

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Devices on Windows, with any suffix."""


def check_folder_name(what: str, name: str) -> None:
    """Raise ValueError unless ``name`` is one folder's name on every system: no path, no device."""
    if not _NAME.fullmatch(name) or name.endswith(".") or _RESERVED.fullmatch(name):
        raise ValueError(
            f"{what} {name[:80]!r} cannot name a folder: use up to 200 letters, digits, '.', '_', "
            "'+' and '-', starting with a letter, a digit or '_', not ending with '.', and no "
            "device of Windows such as 'nul'"
        )


def printable(name: str) -> str:
    """A stranger's name as a terminal may show it: short, and without control characters."""
    shown = name if name.isprintable() else ascii(name)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
