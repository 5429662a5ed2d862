"""Answers about what is installed, which take torch and all packages to find: found once.

An answer is kept beside all that it was made of: the entry points of dyncore's groups, and size and
time of every file that was imported to find it and of every file of the packages that register
something. Where one of them is another now, the answer is found anew. Without a folder that can be
written it is found at every call.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dyncore.files import cache_folder, replacing


def remembered(question: str, find: Callable[[], Any], *, given: Sequence[object] = ()) -> Any:
    """``find()``, made of JSON types, or what it returned when all that it depends on was the same.

    One answer to a question is kept per environment: the newest. ``given``, made of JSON types, is
    what it depends on beside what is installed.
    """
    points = _entry_points()
    asked = [list(given), [_described(point) for point in points]]
    with suppress(OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
        kept = json.loads(_file(question).read_bytes())
        if kept["asked"] == asked and kept["files"] == _stamps(
            {*kept["files"], *_package_files(points)}
        ):
            return kept["answer"]
    before = time.time_ns()
    answer = find()
    stamps = _stamps({*_imported_files(), *_package_files(points)})
    if all(stamp[1] < before for stamp in stamps.values() if stamp):  # else a file was changed now
        _keep(question, {"asked": asked, "files": stamps, "answer": answer})
    return answer


def _file(question: str) -> Path:
    """Where the answer lies; another Python, environment or search path has another file."""
    named = repr((question, sys.version, sys.executable, sys.path))
    return cache_folder("answers") / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.json"


def _keep(question: str, kept: dict[str, Any]) -> None:
    with suppress(OSError):
        file = _file(question)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(kept), encoding="utf-8")


def _entry_points() -> list[EntryPoint]:
    installed = entry_points()
    groups = sorted(group for group in installed.groups if group.startswith("dyncore."))
    return [point for group in groups for point in installed.select(group=group)]


def _described(point: EntryPoint) -> list[str]:
    distribution = (point.dist.name, point.dist.version) if point.dist is not None else ()
    return [point.group, point.name, point.value, *distribution]


def _package_files(points: Iterable[EntryPoint]) -> Iterator[str]:
    """Every file of the packages that the entry points name, compiled ones left out."""
    for package in {point.module.partition(".")[0] for point in points}:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for parent, folders, files in os.walk(folder):
                folders[:] = [name for name in folders if name != "__pycache__"]
                yield from (os.path.join(parent, file) for file in files)


def _imported_files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        if file := getattr(module, "__file__", None):
            yield file


def _stamps(files: Iterable[str]) -> dict[str, list[int] | None]:
    """Size in bytes and time in nanoseconds of each file; None for one that is not there."""
    return {file: _stamp(file) for file in files}


def _stamp(file: str) -> list[int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
