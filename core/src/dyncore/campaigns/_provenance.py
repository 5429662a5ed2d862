"""On what, with what and from which sources a run was made."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of Python, torch and ``packages``."""
    found = {name: version(name) for name in ("dyncore", *packages)}
    return {"python": platform.python_version(), "torch": torch.__version__, **found}


def commit() -> str | None:
    """The Git commit of these sources, ending in '+' where they differ; None: not in a repository.

    A package that is installed inside somebody's repository is none of its files.
    """
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        changed = git("status", "--porcelain", "--untracked-files=no", ":/")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> dict[str, Any]:
    """The processor, the cores that may be used, the GPU or 'cpu', and torch's threads."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": name.group(1) if name else platform.machine(),
        "cores": cores,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }
