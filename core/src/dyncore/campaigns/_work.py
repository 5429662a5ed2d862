"""The open runs of a campaign, several at once, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from dyncore.campaigns.__main__ import BUSY
from dyncore.campaigns._campaign import Run
from dyncore.campaigns._status import State, survey
from dyncore.campaigns._workplace import Workplace

LOG = "log.txt"
"""What a run prints, in its folder."""
POLL = 0.2
"""Seconds between looks at the processes."""
HEARD = (signal.SIGINT, signal.SIGTERM)


class CampaignStopped(Exception):  # noqa: N818 - nothing went wrong
    """A signal ended the work; every run goes on from its last checkpoint."""

    def __init__(self, heard: signal.Signals) -> None:
        super().__init__(f"{heard.name}: stopped; the same command goes on where it was")
        self.signal = heard


class Work:
    """Runs what is open, ``jobs`` processes at once; those of a GPU machine share its devices.

    Each process computes with one thread, unless ``OMP_NUM_THREADS`` says otherwise: one with more
    threads than free cores waits for them most of the time.
    """

    def __init__(self, place: Workplace, *, jobs: int, say: Callable[[str], None]) -> None:
        self._place = place
        self._jobs = jobs
        self._say = say
        self._going: dict[int, tuple[Run, subprocess.Popen[bytes]]] = {}
        """By the slot that a process takes."""
        self._ended: set[str] = set()
        """Names of runs that are not begun again."""
        self._heard: signal.Signals | None = None

    def do(self, runs: Sequence[Run]) -> list[str]:
        """Run what is open of ``runs``, and what is then; the names of those that failed.

        Raises CampaignStopped after SIGINT or SIGTERM, when every process has saved its state; a
        second one kills them.
        """
        failed: list[str] = []
        before = {number: signal.signal(number, self._hear) for number in HEARD}
        try:
            self._begin(runs)
            while self._going:
                time.sleep(POLL)
                ended = [slot for slot, (_, p) in self._going.items() if p.poll() is not None]
                for slot in ended:
                    run, process = self._going.pop(slot)
                    if not self._report(run, process.returncode):
                        failed.append(run.name)
                if ended and self._heard is None:
                    self._begin(runs)
        finally:
            for _, process in self._going.values():
                process.kill()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._heard is not None:
            raise CampaignStopped(self._heard)
        return failed

    def _begin(self, runs: Sequence[Run]) -> None:
        """Start open runs until all slots are taken."""
        going = {run.name for run, _ in self._going.values()}
        for status in survey(self._place, runs):
            name = status.run.name
            free = sorted(set(range(self._jobs)) - self._going.keys())
            if not free:
                return
            if status.state is State.OPEN and name not in going | self._ended:
                self._ended.add(name)
                self._going[free[0]] = status.run, self._start(status.run, free[0])
                self._say(f"{name}: {status.note}")

    def _start(self, run: Run, slot: int) -> "subprocess.Popen[bytes]":
        place = self._place
        job: dict[str, Any] = {
            "file": str(place.file),
            "run": run.name,
            "data": place.data,
            "output": str(place.output),
            "results": str(place.results),
            "models": dict(place.models),
        }
        folder = place.folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dyncore.campaigns", json.dumps(job)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"OMP_NUM_THREADS": "1", **os.environ, **_environment(slot)},
                start_new_session=True,  # Ctrl-C is for us: a run would hear it twice
            )

    def _report(self, run: Run, status: int) -> bool:
        """Say how a run ended; whether nothing is wrong."""
        if status == 0:
            (now,) = survey(self._place, [run])
            took = "" if now.result is None else f", {duration(now.result.seconds)}"
            self._say(f"{run.name}: {now.note}{took}")
        elif status == BUSY:
            self._say(f"{run.name}: another process runs it")
        elif self._heard is None:
            log = self._place.folder(run) / LOG
            self._say(f"{run.name} failed: {_last_line(log)} ({log})")
            return False
        return True

    def _hear(self, number: int, frame: FrameType | None) -> None:
        for _, process in self._going.values():
            with suppress(ProcessLookupError):
                process.terminate() if self._heard is None else process.kill()
        self._heard = signal.Signals(number)


def duration(seconds: float) -> str:
    """For people: '45 s', '12 min', '3.4 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _environment(slot: int) -> dict[str, str]:
    """Of the process in a slot: processes take the devices in turn; bars move twice a minute."""
    own = {"PYTHONUNBUFFERED": "1", "TQDM_MININTERVAL": "30"}
    devices = torch.cuda.device_count()
    if devices > 1:
        named = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(devices))))
        own["CUDA_VISIBLE_DEVICES"] = named.split(",")[slot % devices]
    return own


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
