"""Metrics to a file, to trackers and to the progress bar."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator


class MetricsLog:
    """One JSON object per line in ``metrics.jsonl``, and the same to accelerate's trackers."""

    def __init__(self, file: Path, accelerator: Accelerator, *, resume_at: int, end: int) -> None:
        """Keep the rows up to step ``resume_at``; a fresh run starts at 0 with an empty file.

        The evaluation at step ``end`` is not kept: it is always made again.
        """
        self._accelerator = accelerator
        self._file = file
        if accelerator.is_main_process:
            rows = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            kept = [row for row in rows if _is_kept(json.loads(row), resume_at, end)]
            temporary = file.with_name(f".{file.name}.{os.getpid()}")
            temporary.write_text("".join(row + "\n" for row in kept), encoding="utf-8")
            os.replace(temporary, file)

    def write(self, step: int, values: Mapping[str, float | str | list[float]]) -> None:
        if not self._accelerator.is_main_process:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        numbers = {name: value for name, value in values.items() if isinstance(value, float)}
        self._accelerator.log(numbers, step=step)


def _is_kept(row: dict[str, Any], resume_at: int, end: int) -> bool:
    is_evaluation = "phase" not in row
    return row["step"] <= resume_at and not (is_evaluation and row["step"] == end)
