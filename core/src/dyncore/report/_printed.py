"""The papers' printed points, as ``benchmarks/paper_tables/*.toml`` hold them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class PrintedRow:
    """One printed row of a paper."""

    name: str
    macs: float
    """Of one image; a paper's FLOPs, where it counts two per MAC, are halved."""
    accuracy: float
    """Top-1, in percent."""


def read_printed(file: str | os.PathLike[str], dataset: str) -> list[PrintedRow]:
    """The rows on ``dataset`` (e.g. ``cifar10``) that have a cost.

    Raises ValueError for a file of another form, or one without such a row.
    """
    try:
        content = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        per_mac = float(content["per_mac"])
        rows = [
            _row(f"{content['paper']}: {row['label']}", row, per_mac)
            for table in content["tables"]
            if table["dataset"] == dataset
            for row in table["rows"]
            if "cost" in row
        ]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{os.fspath(file)} is no table of printed rows ({error!r}); benchmarks/paper_tables/ "
            "of the repository has one per paper"
        ) from error
    if not rows:
        raise ValueError(f"{os.fspath(file)} has no printed row on {dataset!r} with a cost")
    return rows


def _row(name: str, row: dict[str, Any], per_mac: float) -> PrintedRow:
    accuracy = row["accuracy"] if "accuracy" in row else 100 - row["error"]
    return PrintedRow(name, 1e9 * row["cost"] / per_mac, float(accuracy))
