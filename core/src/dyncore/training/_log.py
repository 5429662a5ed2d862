"""Metrics to a file, to trackers and to the progress bar."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from dyncore.files import replacing
from dyncore.training._storage import writing


class MetricsLog:
    """One JSON object per line in ``metrics.jsonl``, and the same to accelerate's trackers."""

    def __init__(self, file: Path, accelerator: Accelerator, *, resume_at: int, end: int) -> None:
        """Keep the rows up to step ``resume_at``; a fresh run starts at 0 with an empty file.

        The evaluation at step ``end`` is not kept: it is always made again.
        """
        self._accelerator = accelerator
        self._file = file
        if accelerator.is_main_process:
            rows = file.read_bytes().splitlines(keepends=True) if file.exists() else []
            with writing(file), replacing(file) as temporary:
                temporary.write_bytes(b"".join(_kept(rows, resume_at, end)))

    def write(self, step: int, values: Mapping[str, float | str | list[float]]) -> None:
        """Raises StorageError if the row cannot be written."""
        if not self._accelerator.is_main_process:
            return
        with writing(self._file), self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        numbers = {name: value for name, value in values.items() if isinstance(value, float)}
        self._accelerator.log(numbers, step=step)


def _kept(rows: list[bytes], resume_at: int, end: int) -> Iterator[bytes]:
    """The rows that stay; a row that a killed run wrote in part is the last one, and goes."""
    for row in rows:
        try:
            content = json.loads(row)
        except ValueError:
            return
        if row.endswith(b"\n") and _is_kept(content, resume_at, end):
            yield row


def _is_kept(row: dict[str, Any], resume_at: int, end: int) -> bool:
    is_evaluation = "phase" not in row
    return row["step"] <= resume_at and not (is_evaluation and row["step"] == end)
