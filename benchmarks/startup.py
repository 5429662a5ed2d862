"""How long it takes until something happens: imports, and what ``dyn`` says without a model.

``python benchmarks/startup.py [--runs 5]`` prints seconds of CPU (user and system) of processes of
their own, and writes JSON to ``benchmarks/results/``. *cold* is the first call after something was
installed or changed, *warm* any later one (``dyncore.cli._remembered``); where there is one figure,
nothing is remembered.
"""

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import tyro
from record import record
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
RECIPE = "rdinet-resnet20-cifar10-b0.6"
IMPORTS = {
    "import torch": "import torch",
    "import dyncore": "import dyncore",
    "… and its models": "import dyncore; dyncore.create_model, dyncore.from_pretrained",
    "… and its engine": "import dyncore; dyncore.create_model, dyncore.Engine",
}
ANSWERED = (
    "--help",
    "list --help",
    "train --help",
    "eval --help",
    "bench --help",
    "cascade --help",
    "export --help",
    "push --help",
)
"""From what needs no torch."""
REMEMBERED = ("list methods", "list models", "list recipes", f"train {RECIPE} --help")
"""From what was found before."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure how long imports, lists and help texts take."""

    runs: int = 5
    """Of each, in turns; medians are printed. Cold calls are made ``runs`` times, too."""


def cpu_seconds(arguments: list[str], cache: str) -> float:
    """User and system time of ``python ARGUMENTS``, with its cache in ``cache``."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def dyn(arguments: str) -> list[str]:
    """What the console script ``dyn`` runs."""
    return ["-c", f"from dyncore.cli import main; main({arguments.split()})"]


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, tuple[float, float]]:
    """Medians of cold and of warm calls, the commands in turns."""
    cold: dict[str, list[float]] = {name: [] for name in commands}
    warm: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():  # once, for files that were not read before
        with TemporaryDirectory() as cache:
            cpu_seconds(command, cache)
    for _ in range(runs):
        for name, command in commands.items():
            with TemporaryDirectory() as cache:
                cold[name].append(cpu_seconds(command, cache))
                warm[name].append(cpu_seconds(command, cache))
    return {name: (median(cold[name]), median(warm[name])) for name in commands}


def main(options: Options) -> None:
    """Measure, print the table, write the JSON."""
    scripts = sorted(ROOT.glob("methods/*/train.py"))
    figures = measure({name: ["-c", code] for name, code in IMPORTS.items()}, options.runs)
    torch = median(figures["import torch"])
    rows: list[dict[str, object]] = [
        {"what": name, "cpu_s": median(pair), "of_import_torch": median(pair) / torch}
        for name, pair in figures.items()
    ]
    commands = {f"dyn {arguments}": dyn(arguments) for arguments in (*ANSWERED, *REMEMBERED)}
    commands |= {
        f"{script.relative_to(ROOT)} --help": [str(script), "--help"] for script in scripts
    }
    answered = {f"dyn {arguments}" for arguments in ANSWERED}
    for name, (cold, warm) in measure(commands, options.runs).items():
        if name in answered:
            rows.append({"what": name, "cpu_s": median((cold, warm))})
        else:
            rows.append({"what": name, "cold_cpu_s": cold, "cpu_s": warm})
    shown = Table(title="seconds of CPU (user and system)")
    for column in ("", "cold", "warm", "of import torch"):
        shown.add_column(column, justify="right" if column else "left")
    for row in rows:
        keys = ("cold_cpu_s", "cpu_s", "of_import_torch")
        shown.add_row(str(row["what"]), *(f"{row[key]:.2f}" if key in row else "" for key in keys))
    Console(width=100).print(shown)
    record("startup", rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
