"""Metrics to a file, to trackers and to the progress bar."""

import json
from collections.abc import Mapping
from pathlib import Path

from accelerate import Accelerator


class MetricsLog:
    """One JSON object per line in ``metrics.jsonl``, and the same to accelerate's trackers."""

    def __init__(self, file: Path, accelerator: Accelerator, *, resume_at: int) -> None:
        """Keep the rows up to step ``resume_at``; a fresh run starts at 0 with an empty file."""
        self._accelerator = accelerator
        self._file = file
        if accelerator.is_main_process:
            rows = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            kept = [row for row in rows if json.loads(row)["step"] <= resume_at]
            file.write_text("".join(row + "\n" for row in kept if resume_at), encoding="utf-8")

    def write(self, step: int, values: Mapping[str, float | str | list[float]]) -> None:
        if not self._accelerator.is_main_process:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        numbers = {name: value for name, value in values.items() if isinstance(value, float)}
        self._accelerator.log(numbers, step=step)
