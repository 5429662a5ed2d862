"""Engines on several threads and in several processes: images per second.

``python benchmarks/engine_threads.py [--threads 1 2 4 …] [--batches 1 8]`` measures one engine on
each number of threads and, up to one for each core, as many processes of one thread, whose images
add up; with and without pinning each thread to a core of its own. Writes
``benchmarks/results/engine-threads.json``.

More threads than there are cores take turns, so such a row says what waiting for each other costs
at its worst, not what more cores would give; ``simulated`` marks it.
"""

import itertools
import multiprocessing
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal

import torch
import tyro
from engine_workloads import CALIBRATION, WORKLOADS, calibrated
from record import record
from rich.console import Console
from rich.table import Table

import dyncore


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure engines on several threads and in several processes."""

    workload: str = "blocks"
    """One of ``engine_workloads.py``."""
    rate: float = 0.5
    """Share of images for which each path is on."""
    threads: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Of an engine; and processes of one thread each, where there are as many cores."""
    batches: tuple[int, ...] = (1, 8, 32)
    """Images of a call."""
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
    """What engines compute in."""
    seconds: float = 1.0
    """Measuring time per figure."""


@dataclass(frozen=True)
class Job:
    """What each of some processes does at the same time."""

    workload: str
    rate: float
    precision: Literal["fp32", "bf16"]
    threads: int
    batches: tuple[int, ...]
    pinned: bool
    first_core: int
    seconds: float


def cores() -> list[int]:
    """That this process may use."""
    return sorted(os.sched_getaffinity(0))


def pin(first: int, before: set[int]) -> None:
    """Each thread that is not in ``before`` to a core, from the one of number ``first`` on."""
    own = cores()
    for number, thread in enumerate(sorted(threads_here() - before)):
        with suppress(ProcessLookupError):  # it has ended since
            os.sched_setaffinity(thread, {own[(first + number) % len(own)]})


def threads_here() -> set[int]:
    """The system's numbers of this process's threads."""
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def work(job: Job, barrier: Barrier, rates: "multiprocessing.Queue[tuple[int, float]]") -> None:
    """Puts (batch, images per second) for each batch size."""
    torch.set_num_threads(1)
    workload = next(w for w in WORKLOADS if w.name == job.workload)
    drawn = torch.randn(CALIBRATION, 3, workload.size, workload.size)
    model = calibrated(workload, job.rate, drawn)
    before = threads_here() - {os.getpid()}  # the caller is an engine's first thread
    engine = dyncore.Engine(model, drawn[:1], threads=job.threads, precision=job.precision)
    if job.pinned:
        pin(job.first_core, before)
    for batch in job.batches:
        images = [torch.randn(batch, *drawn.shape[1:]) for _ in range(-(-16 // batch))]
        engine(images[0])
        barrier.wait()
        start, done = time.perf_counter(), 0
        for some in itertools.cycle(images):
            engine(some)
            done += batch
            if (taken := time.perf_counter() - start) > job.seconds:
                break
        rates.put((batch, done / taken))
        barrier.wait()


def together(jobs: list[Job]) -> dict[int, float]:
    """Images per second of all jobs at once, by batch size."""
    spawn = multiprocessing.get_context("spawn")
    barrier, rates = spawn.Barrier(len(jobs)), spawn.Queue()
    processes = [spawn.Process(target=work, args=(job, barrier, rates)) for job in jobs]
    for process in processes:
        process.start()
    found = dict.fromkeys(jobs[0].batches, 0.0)
    for _ in range(len(jobs) * len(found)):
        batch, rate = rates.get()
        found[batch] += rate
    for process in processes:
        process.join()
    return found


def measure(options: Options) -> list[dict[str, object]]:
    """A row per precision, number of threads, way to use them, and batch size."""
    rows: list[dict[str, object]] = []
    several = {(n, 1) for n in options.threads if n <= len(cores())}
    ways = sorted({(1, threads) for threads in options.threads} | several)
    for precision, (processes, threads), pinned in itertools.product(
        options.precisions, ways, (False, True)
    ):
        simulated = processes * threads > len(cores())
        if simulated and pinned:
            continue
        jobs = [
            Job(
                options.workload,
                options.rate,
                precision,
                threads,
                options.batches,
                pinned,
                number,
                options.seconds,
            )
            for number in range(processes)
        ]
        rows += [
            {
                "workload": options.workload,
                "rate": options.rate,
                "precision": precision,
                "processes": processes,
                "threads": threads,
                "pinned": pinned,
                "simulated": simulated,
                "batch": batch,
                "images_per_s": rate,
            }
            for batch, rate in together(jobs).items()
        ]
        Console(width=110).print(shown(rows[-len(options.batches) :]))
    return rows


def shown(rows: list[dict[str, object]]) -> Table:
    """One row per batch size."""
    table = Table()
    keys = ("precision", "processes", "threads", "pinned", "simulated", "batch", "images_per_s")
    for column in keys:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{v:.1f}" if isinstance(v := row[k], float) else str(v) for k in keys))
    return table


def main(options: Options) -> None:
    """Measure, print, write the JSON."""
    record("engine-threads", measure(options))


if __name__ == "__main__":
    main(tyro.cli(Options))
