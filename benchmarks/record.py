"""Writing down what a benchmark measured, and on what."""

import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def record(
    name: str,
    rows: Sequence[Mapping[str, object]],
    versions: Mapping[str, str | None] | None = None,
) -> None:
    """Write ``results/<name>.json``: the rows, the command, versions and the machine.

    ``versions`` are those of further packages that were measured.
    """
    target = RESULTS / f"{name}.json"
    write(target, {**provenance(versions), "rows": list(rows)})
    print(f"written: benchmarks/results/{target.name}")


def provenance(versions: Mapping[str, str | None] | None = None) -> dict[str, object]:
    """The command, the date, versions and the machine."""
    script, *arguments = sys.argv
    return {
        "command": " ".join(["python", f"benchmarks/{Path(script).name}", *map(shown, arguments)]),
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        **(versions or {}),
        "processor": processor(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }


def write(target: Path, report: Mapping[str, object]) -> None:
    """Write a report as JSON, complete or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(target)


def processor() -> str:
    """The CPU: cores that may be used, its name, family and model, and torch's vectors on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    name, family, model = (
        found.group(1) if (found := re.search(rf"^{key}\s*: (.+)$", text, re.MULTILINE)) else None
        for key in ("model name", "cpu family", "model")
    )
    kind = f" (family {family}, model {model})" if family else ""
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{cores} cores of {name or platform.machine()}{kind}, {vectors}"


def shown(argument: str) -> str:
    """The argument; of a path that only one machine has only its last part, behind dots."""
    short = "".join(map(_short, re.split(r"([=,])", argument)))
    return shlex.quote(short) if " " in short else short


def _short(piece: str) -> str:
    path = Path(piece)
    return f"…/{path.name}" if path.is_absolute() or ".." in path.parts else piece
