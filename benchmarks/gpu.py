"""Everything that needs a GPU, in less than ten minutes: tests, training, the engine, a campaign.

``python benchmarks/gpu.py [--data CIFAR10 --weights FOLDER]`` runs ``PARTS``, the best first, each
in a process of its own, for so many seconds at most. What a part finds stands in ``gpu.json`` of
``--output`` at once, what it prints in ``gpu.log``. A part that fails is noted with its error, and
the next one runs. The same command with ``--resume`` goes on where it was: what is measured stays.

Where nothing can be installed, bring what is missing: by ``--packages`` a folder that was made by
``uv pip install --target FOLDER --no-deps -c constraints.txt cattrs attrs lazy-loader tyro
typeguard docstring-parser datasets dill multiprocess hypothesis sortedcontainers
./core ./methods/*``. The campaign also needs pandas and xxhash, some tests scikit-learn.

``--device cpu --quick`` runs the code of every part on tiny networks, without a GPU.
"""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from record import RESULTS, provenance, write

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("gpu_parts.py")
GRACE = 12.0
"""Seconds in which a part that is out of time may end in order."""
POLL = 0.1
"""Seconds between looks at what a part found."""
DYNCORE = ("dyncore", "cattrs", "lazy_loader")
TRAINING = (*DYNCORE, "accelerate", "pyarrow", "tqdm", "tyro")


@dataclass(frozen=True)
class Part:
    """Something to find out; ``gpu_parts.py`` does it."""

    name: str
    seconds: float
    """Most that it may take. What it does not need is left to the parts behind it."""
    needs: tuple[str, ...] = TRAINING
    """Modules that are imported, beside torch's."""


PARTS = (
    Part("tests", 75, (*TRAINING, "hypothesis", "pytest")),
    Part("training-resnet110", 45),
    Part("training-resnet50", 60),
    Part("engine", 75, DYNCORE),
    Part("training-resnet50-compiled", 75),
    Part("engine-compiled", 120, DYNCORE),
    Part("training-resnet110-compiled", 60),
    Part("engine-tensorrt", 60, DYNCORE),
    Part("campaign", float("inf"), (*TRAINING, "datasets", "pandas", "xxhash")),
)


class Record:
    """The file of results: what is known of every part, written anew whenever that changes."""

    def __init__(self, file: Path, about: Mapping[str, object], parts: dict[str, Any]) -> None:
        self.file, self.about, self.parts = file, about, parts

    def note(self, name: str, **found: object) -> None:
        """Keep what is found of a part beside what is known of it."""
        self.parts[name] = {**self.parts.get(name, {}), **found}
        write(self.file, {**self.about, "parts": self.parts})


def opened(folder: Path, about: Mapping[str, object], *, resume: bool) -> Record:
    """The record in a folder; ValueError where there is one that is not to be gone on with."""
    file = folder / "gpu.json"
    if not file.exists():
        return Record(file, about, {})
    if not resume:
        raise ValueError(f"{file} is there: go on with --resume, or name another --output")
    known = json.loads(file.read_text(encoding="utf-8"))
    for key in ("device", "torch"):
        if known[key] != about[key]:
            raise ValueError(
                f"{file} was measured with {key} {known[key]}, here is {about[key]}: name another "
                "--output"
            )
    return Record(file, about, known["parts"])


def perform(
    part: Part, command: Sequence[str], limit: float, record: Record, log: IO[bytes]
) -> None:
    """Run the part's process, and keep what it writes as it comes.

    The process is given a file of rows, those of an earlier sitting first, to which it appends.
    Its last row is how it ended, unless it was killed.
    """
    began, known = time.monotonic(), record.parts.get(part.name, {})
    before = known.get("seconds", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        kept = [row for row in known.get("rows", ()) if "error" not in row]
        file.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        record.note(part.name, state="begun", error=None, rows=kept)
        with process_of([*command, part.name, str(file)], log) as process:
            while (ended := process.poll()) is None and time.monotonic() - began < limit:
                time.sleep(POLL)
                kept = noted(part, file, kept, record)
                kept = noted(part, file, kept, record)
        took = round(before + time.monotonic() - began, 1)
        rows = noted(part, file, kept, record)
        end = rows.pop() if rows and "state" in rows[-1] else {}
        if ended is None:
            end = {"state": "out of time", "error": f"not done in {limit:.0f} s"}
        elif not end:
            end = {"state": "failed", "error": f"the process ended with status {ended}"}
        record.note(part.name, rows=rows, seconds=took, **end)


def noted(part: Part, file: Path, kept: list[Any], record: Record) -> list[Any]:
    """All rows of the file; new ones are shown and recorded."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    new = [row for row in rows[len(kept) :] if "state" not in row]
    if new:
        record.note(part.name, rows=[row for row in rows if "state" not in row])
        for row in new:
            print(f"{part.name}: {short(row)}", flush=True)
    return rows


def short(row: Mapping[str, object]) -> str:
    """A row on a line: its plain values."""
    plain = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
    return ", ".join(f"{k} {v}" for k, v in plain.items() if isinstance(v, str | int))[:400]


@contextmanager
def process_of(command: Sequence[str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that ends, with all that it started in its session, when this is left."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(
    parts: Sequence[Part], command: Sequence[str], seconds: float, record: Record, log: IO[bytes]
) -> bool:
    """Run what is not done of ``parts`` in ``seconds``; whether nothing failed."""
    end = time.monotonic() + seconds - GRACE
    for part in parts:
        if record.parts.get(part.name, {}).get("state") == "done":
            continue
        left = end - time.monotonic()
        if left <= 0:
            print(f"{part.name}: no time left")
            record.note(part.name, state="out of time", error="not begun")
            continue
        perform(part, command, min(part.seconds, left), record, log)
        known = record.parts[part.name]
        print(f"{part.name}: {known['state']}, {known['seconds']} s; {known['error'] or ''}")
    return all(record.parts[part.name]["state"] != "failed" for part in parts)


def chosen(only: Sequence[str], packages: Path | None) -> list[Part]:
    """The parts of these names, all if none is named; ValueError for one that cannot run."""
    names = [part.name for part in PARTS]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"no part is called {unknown[0]!r}; there are {', '.join(names)}")
    parts = [part for part in PARTS if not only or part.name in only]
    if packages is not None:
        sources = [ROOT / "core" / "src", *ROOT.glob("methods/*/src")]
        sys.path[1:1] = [*map(str, sources), str(packages.absolute())]
        before = filter(None, [os.environ.get("PYTHONPATH")])
        os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path[1 : len(sources) + 2], *before])
    missing = {module for part in parts for module in part.needs if not there(module)}
    if missing:
        raise ValueError(
            f"{', '.join(sorted(missing))} are not installed: install them, bring them by "
            f"--packages (python {Path(__file__).name} --help), or leave out by --only what needs "
            "them"
        )
    return parts


def there(module: str) -> bool:
    """Whether it can be imported."""
    return importlib.util.find_spec(module) is not None


def main() -> int:
    """1 if a part failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--resume", action="store_true", help="go on with the results there")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts together")
    parser.add_argument("--only", nargs="+", default=[], metavar="PART")
    parser.add_argument("--packages", type=Path, help="folder of what is not installed")
    parser.add_argument("--data", help="CIFAR-10, for the campaign")
    parser.add_argument("--weights", help="folder of public CIFAR ResNets, for the campaign")
    parser.add_argument("--runs", default="runs/gpu", help="folder of the campaign's runs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny networks: does the code run?")
    given = parser.parse_args()
    try:
        if given.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("there is no GPU: --device cpu --quick runs the code of all parts")
        parts = chosen(given.only, given.packages)
        record = opened(given.output, provenance(), resume=given.resume)
    except ValueError as error:
        parser.error(str(error))
    place = {key: getattr(given, key) for key in ("device", "quick", "data", "weights", "runs")}
    for key in ("data", "weights", "runs"):  # the parts run elsewhere; data may be an id on the Hub
        if place[key] and (key == "runs" or Path(place[key]).exists()):
            place[key] = os.path.abspath(place[key])
    command = [sys.executable, str(SCRIPT), json.dumps(place)]
    given.output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with (given.output / "gpu.log").open("ab") as log:
        fine = run(parts, command, 60 * given.minutes, record, log)
    print(f"written: {record.file}")
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
