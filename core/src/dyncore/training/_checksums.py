"""Whether a folder's files are what was written: ``SHA256SUMS``, as ``sha256sum -c`` reads it."""

import hashlib
from pathlib import Path

CHECKSUMS = "SHA256SUMS"
_CHUNK = 1 << 20


def write_checksums(folder: Path) -> None:
    """Write the checksum of every file of ``folder``."""
    lines = [f"{_sha256(file)}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def find_damage(folder: Path, files: set[str]) -> str | None:
    """What is wrong with ``folder``, which should hold ``files``; None: nothing."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        expected = {
            name: checksum for checksum, _, name in (line.partition("  ") for line in lines)
        }
        if expected.keys() != files:
            return f"{CHECKSUMS} does not list {', '.join(sorted(files))}"
        for name, checksum in expected.items():
            if _sha256(folder / name) != checksum:
                return f"{name} has another checksum than when it was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, UnicodeDecodeError) as error:
        return f"it cannot be read: {error}"
    return None


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
