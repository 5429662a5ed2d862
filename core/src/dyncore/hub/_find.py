"""Where a model lies: in a local folder, or on the Hub."""

import os
from pathlib import Path


def find_folder(source: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The local folder of a model: a path, or ``org/name`` fetched from the Hub.

    What was fetched is found without a connection. Its content is compared, at every call, with
    the hash that the Hub records for it, and with what the same commit held when it was first
    read; the client itself compares only sizes.

    Raises FileNotFoundError when there is no such folder or model, :class:`HubError` when the Hub
    refuses or fails, and :class:`ModelFileError` for a file that is not the recorded one.
    """
    path = Path(source)
    if os.path.isdir(path):
        return path
    name = os.fspath(source)
    expected = "give a folder written by save_pretrained, or a Hub name 'org/name'"
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise FileNotFoundError(f"no folder {name!r}: {expected}")
    # Imported here: the Hub's client takes 0.3 s of CPU, which a local folder can do without.
    from dyncore.hub._fetch import fetch

    return fetch(name, revision, expected)
