"""One process at a time in a run's folder, and how long they took together."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dyncore.files import replacing

if sys.platform != "win32":
    import fcntl

CLAIM = "claim"
SITTINGS = "sittings.json"


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this process has the folder to itself; the system ends a claim with its process.

    Windows has no such lock: there every process is told that it has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / CLAIM).open("a") as file:
        if sys.platform == "win32":
            yield True
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def is_claimed(folder: Path) -> bool:
    """Whether a process has it."""
    if not (folder / CLAIM).exists():
        return False
    with claimed(folder) as free:
        return not free


class Sitting:
    """From now on this process trains in the folder; one before it may have been killed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / SITTINGS
        self.seconds = 0.0
        """Wall time of the sittings before, up to the last checkpoint of each one killed."""
        self.number = 1
        """Of this sitting."""
        with suppress(OSError, ValueError, KeyError):
            before = json.loads(self._file.read_bytes())
            self.number = before["number"] + 1
            self.seconds = before["seconds"] + max(0.0, _last_saved(folder) - before["began"])
        self._began = time.time()
        self._write(self._began)

    @property
    def total(self) -> float:
        """Seconds until now."""
        return self.seconds + time.time() - self._began

    def pause(self) -> None:
        """Note a sitting that ends in order."""
        self.seconds = self.total
        self._write(sys.float_info.max)

    def _write(self, began: float) -> None:
        noted = {"number": self.number, "seconds": self.seconds, "began": began}
        with replacing(self._file) as temporary:
            temporary.write_text(json.dumps(noted), encoding="utf-8")


def _last_saved(folder: Path) -> float:
    times = [path.stat().st_mtime for path in folder.glob("*/checkpoints/step-*")]
    return max(times, default=0.0)
