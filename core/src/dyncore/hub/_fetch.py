"""A model from the Hub: fetched once, checked whenever it is read."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]
from huggingface_hub.hf_api import RepoFile

from dyncore.files import parse_json, replacing
from dyncore.hub._advice import advice, client_message, status_of
from dyncore.hub._errors import HubError, ModelFileError
from dyncore.hub._files import files_of, is_complete, patterns

RECORDS = "dyncore"
"""Folder beside the cache's ``snapshots``: per commit, the SHA-256 of the files when first read."""
_GIT = 40
"""Length of git's SHA-1 of a blob, which the Hub records for small files; SHA-256 has 64."""


def fetch(
    name: str,
    revision: str | None,
    expected: str,
    *,
    subfolder: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> Path:
    """The folder of ``org/name`` in the Hub's cache, fetched if it is not there; checked.

    ``expected`` says what could be given in place of a model that does not exist. Other arguments
    and errors are those of :func:`dyncore.hub.find_folder`.
    """
    at = f" at revision {revision!r}" if revision else ""
    secret = token if isinstance(token, str) else None
    try:
        snapshot = Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=patterns(subfolder),
                local_files_only=local_files_only,
                cache_dir=None if cache_dir is None else Path(cache_dir),
                token=token,
            )
        )
    except (OSError, HTTPError, HFValidationError) as error:
        if not _is_missing(error):
            raise HubError(f"cannot fetch {name!r}{at}: {advice(error, secret)}") from error
        if local_files_only:
            raise FileNotFoundError(
                f"no folder {name!r}, and the cache has no such model{at}: {expected}, or leave "
                "out local_files_only, which forbids to fetch it"
            ) from error
        raise FileNotFoundError(
            f"no folder {name!r}, and the Hub gives no such model{at}: {expected}. "
            "A model of the Hub needs a connection the first time; if it is private, log in with "
            f"'hf auth login'. The Hub's client says: {client_message(error, secret)}"
        ) from error
    folder = snapshot / (subfolder or "")
    if not folder.is_dir():
        raise FileNotFoundError(f"{name!r}{at} has no model in a folder {subfolder!r}")
    _verify(name, snapshot, subfolder, token, ask=not local_files_only)
    return folder


def _is_missing(error: BaseException) -> bool:
    """No such name, or none that this user may see, or no connection and no copy."""
    status = status_of(error)
    if status is None:
        return isinstance(error, (FileNotFoundError, HFValidationError))
    return status in (401, 404)


def _verify(
    name: str, snapshot: Path, subfolder: str | None, token: str | bool | None, *, ask: bool
) -> None:
    """Raise ModelFileError unless every file has its recorded content; keep the record.

    ``ask``: the Hub, where there is no record yet.
    """
    commit, inside = snapshot.name, files_of(snapshot / (subfolder or ""))
    files = [f"{subfolder}/{file}" if subfolder else file for file in inside]
    within = f"-{subfolder.replace('/', '-')}" if subfolder else ""
    record = snapshot.parents[1] / RECORDS / f"{commit}{within}.json"
    recorded = _read_record(record, files)
    asked = _ask(name, commit, files, token) if recorded is None and ask else {}
    expected = recorded or asked or dict(_blob_names(snapshot, files))
    digests = {}
    for file in files:
        path = snapshot / file
        digest = _digest(path, hashlib.sha256())
        wanted = expected.get(file, digest)
        if len(wanted) == _GIT:
            start = b"blob %d\0" % path.stat().st_size
            same = wanted == _digest(path, hashlib.sha1(start, usedforsecurity=False))
        else:
            same = wanted == digest
        if not same:
            since = "when this commit was first read" if recorded else "in the Hub's record"
            raise ModelFileError(
                f"{file} of {name!r} at commit {commit} is not what it was {since}: its "
                f"SHA-256 is {digest}, expected {wanted}. Do not use it; to fetch it again, delete "
                f"{path} and {path.resolve()}"
            )
        digests[file] = digest
    if recorded is None and is_complete(inside):
        _write_record(record, digests)


def _digest(path: Path, hasher: Any) -> str:
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            hasher.update(chunk)
    return str(hasher.hexdigest())


def _ask(name: str, commit: str, files: list[str], token: str | bool | None) -> dict[str, str]:
    """The Hub's hash of each file: SHA-256 of large ones, git's SHA-1 of small ones."""
    try:
        infos = HfApi(token=token).get_paths_info(name, files, revision=commit)
    except (OSError, HTTPError):
        return {}
    found = [info for info in infos if isinstance(info, RepoFile)]
    return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in found}


def _blob_names(folder: Path, files: list[str]) -> Iterator[tuple[str, str]]:
    """The same hashes without a connection: the cache names its blobs by them."""
    for file in files:
        if (folder / file).is_symlink():
            blob = Path(os.readlink(folder / file))
            if blob.parent.name == "blobs" and len(blob.name) in (_GIT, 64):
                yield file, blob.name


def _read_record(file: Path, files: list[str]) -> dict[str, str] | None:
    try:
        record = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and set(record) == set(files) else None


def _write_record(file: Path, digests: dict[str, str]) -> None:
    with suppress(OSError):  # a cache that may only be read
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
