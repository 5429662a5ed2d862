"""Where a model lies: in a local folder, or on the Hub."""

import os
from pathlib import Path

from dyncore.hub._files import CONFIG_FILE


def find_folder(
    source: str | os.PathLike[str],
    revision: str | None = None,
    *,
    subfolder: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> Path:
    """The local folder of a model: a path, or ``org/name`` fetched from the Hub.

    What was fetched is found without a connection. Its content is compared, at every call, with
    the hash that the Hub records for it, and with what the same commit held when it was first
    read; the client itself compares only sizes.

    ``subfolder`` is where in it the model lies. ``local_files_only`` asks nobody; ``cache_dir`` and
    ``token`` take the place of the client's own (``HF_HUB_CACHE``, ``HF_TOKEN``; False: none).

    Raises FileNotFoundError when there is no such folder or model, or for the folder of a run, that
    has its model in a folder of its own; :class:`HubError` when the Hub refuses or fails,
    :class:`ModelFileError` for a file that is not the recorded one, and ValueError for a
    ``subfolder`` that leads out of the model.
    """
    if subfolder is not None and not set(subfolder.split("/")).isdisjoint({"", ".", ".."}):
        raise ValueError(
            f"subfolder must be a path inside the model, 'a' or 'a/b', not {subfolder!r}"
        )
    path = Path(source)
    if os.path.isdir(path):
        inside = path / (subfolder or "")
        if not inside.is_dir():
            raise FileNotFoundError(f"{path} has no folder {subfolder!r}")
        _check_run(inside)
        return inside
    name = os.fspath(source)
    expected = "give a folder written by save_pretrained, or a Hub name 'org/name'"
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise FileNotFoundError(f"no folder {name!r}: {expected}")
    # Imported here: the Hub's client takes 0.3 s of CPU, which a local folder can do without.
    from dyncore.hub._fetch import fetch

    return fetch(
        name,
        revision,
        expected,
        subfolder=subfolder,
        local_files_only=local_files_only,
        cache_dir=cache_dir,
        token=token,
    )


def _check_run(path: Path) -> None:
    inner = path / "model"
    if not (path / CONFIG_FILE).exists() and (inner / CONFIG_FILE).exists():
        raise FileNotFoundError(f"{path} is the folder of a run: its model is {inner}")
