"""Damaged files by the thousand: each is refused with the documented exception, or is fine.

Run by ``nox -s fuzz``, or ``python core/tests/fuzz/fuzz.py [--inputs 500] [--only config.json]``.
Prints a table and fails if one input ended in any other way: another exception, a crash, an
acceptance of what is surely damaged, an empty or endless message, more than 2 GiB, more than 20 s
of the processor.
"""

import contextlib
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

if TYPE_CHECKING:
    from target import Target

MEMORY = 2 * 2**30
SECONDS = 20.0
LONGEST_MESSAGE = 5000


@dataclass
class Tally:
    """What came of the inputs of one kind."""

    loader: str
    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds of the processor, whatever else the machine does."""
    failures: list[str] = field(default_factory=list)


def fuzz(loader: str, kind: str, inputs: int, seed: int) -> Tally:
    """Damage and read ``inputs`` files; input i is a function of loader, kind, seed and i."""
    from loaders import TARGETS

    target, tally = TARGETS[loader], Tally(loader, kind)
    change, certain = target.kinds[kind]
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        made = target.prepare(whole)
        for number in range(inputs):
            random = Random(f"{loader} {kind} {seed} {number}")
            folder = Path(temporary) / f"input-{number}"
            folder.mkdir()
            path = target.damage(made, folder, change, random)
            start = time.process_time()
            outcome, problem = _read(target, path, certain)
            seconds = time.process_time() - start
            tally.slowest = max(tally.slowest, seconds)
            if seconds > SECONDS:
                problem = f"it took {seconds:.0f} s"
            tally.counts["failed" if problem else outcome] += 1
            if problem:
                tally.failures.append(f"input {number}: {problem}")
            shutil.rmtree(folder)
    return tally


def _read(target: "Target", path: Path, certain: bool) -> tuple[str, str | None]:
    """(outcome, what is wrong with it)."""
    try:
        target.read(path)
    except target.error as error:
        message = str(error)
        if not message.strip() or len(message) > LONGEST_MESSAGE:
            return "refused", f"the message has {len(message)} characters: {message[:300]}"
        return "refused", None
    except BaseException:
        return "", traceback.format_exc(limit=-4)
    return "accepted", "it was accepted" if certain else None


def _start() -> None:
    """Of a process that reads: little memory, one thread, a cache of its own, no output."""
    import torch

    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parent))
    import datasets
    import loaders  # noqa: F401

    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_CACHE = Path(tempfile.mkdtemp())
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Fuzz every loader."""

    inputs: int = 500
    """Per loader and kind of damage."""
    only: str = ""
    """Loaders whose name starts with this."""
    seed: int = 0
    """Another seed damages in other places."""
    processes: int = 2
    """Processes that read."""


def main(arguments: Arguments) -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    from loaders import TARGETS

    jobs = [
        (loader, kind)
        for loader, target in TARGETS.items()
        if loader.startswith(arguments.only)
        for kind in target.kinds
    ]
    start, tallies = time.perf_counter(), []
    context = get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, context, _start) as pool:
        futures = [(job, pool.submit(fuzz, *job, arguments.inputs, arguments.seed)) for job in jobs]
        for job, future in tqdm(futures, unit="kind"):
            try:
                tallies.append(future.result())
            except BrokenProcessPool:
                counts = Counter({"failed": 1})
                tallies.append(Tally(*job, counts, failures=["the process crashed, or one beside"]))
    return report(tallies, time.perf_counter() - start)


def report(tallies: list[Tally], seconds: float) -> int:
    names = ("inputs", "refused", "accepted", "failed")
    table = Table("loader", "damage", *names, "slowest", box=None, pad_edge=False)
    totals: Counter[str] = Counter()
    for tally in tallies:
        counts = tally.counts | {"inputs": tally.counts.total()}
        totals.update(counts)
        cells = [str(counts.get(name, 0)) for name in names]
        table.add_row(tally.loader, tally.kind, *cells, f"{tally.slowest * 1000:.0f} ms")
    table.add_row("all", "", *(str(totals[name]) for name in names), f"{seconds:.0f} s in all")
    Console(width=120).print(table)
    for tally in tallies:
        for failure in tally.failures[:3]:
            print(f"\n{tally.loader}, {tally.kind}, {failure}")
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(tyro.cli(Arguments)))
