"""The parts of ``benchmarks/gpu.py``: ``python benchmarks/gpu_parts.py PLACE NAME ROWS``.

PLACE is a :class:`Place` as JSON; ROWS is a file of JSON lines to which the part appends what it
finds. What it finds there it does not measure again.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

# Each part imports what it needs: where that is missing, the other parts run.

ROOT = Path(__file__).parents[1]
MARKER = "needs_gpu"
BATCHES = (32, 1, 128, 8, 512)
"""Of the engine, in order of value."""
RATES = (0.3, 0.5, 0.7, 1.0)
CAMPAIGN = ROOT / "benchmarks" / "campaigns" / "routing_resnet32.toml"
MODELS = {"public20": 20, "public32": 32}
"""Layers of the networks that its runs start from."""
JOBS = 6
"""Runs of the campaign at once: small networks do not fill a GPU."""
QUICK_CAMPAIGN = """
about = "One run of seconds"
options = "--epochs 1 --network.backbone.depths 1 1 --network.backbone.widths 4 8"

[runs.static]
recipe = "static-resnet20-digits"
"""

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how a part runs."""

    device: Literal["cpu", "cuda"]
    quick: bool
    """Tiny networks, to see whether the code runs."""
    data: str | None
    """CIFAR-10."""
    weights: str | None
    """Folder of public CIFAR ResNets."""
    runs: str
    """Folder of the campaign's runs."""


class LeftOut(Exception):  # noqa: N818 - nothing went wrong
    """A part that cannot run here."""


class Kept:
    """What a part finds, by key: written at once, and not measured again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        self.failed: list[str] = []
        """Keys."""

    def add(self, *rows: Row) -> None:
        """All of them or none."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        self.rows += rows

    def measure(self, key: str, find: Callable[[], Iterable[Row]]) -> None:
        """Add the rows of ``find``, or its error, unless there are some of this key."""
        if not any(row["key"] == key for row in self.rows):
            self.attempt(key, lambda: self.add(*({"key": key, **row} for row in find())))

    def attempt(self, key: str, do: Callable[[], None]) -> None:
        """Do it; an error is a row, and what follows goes on."""
        try:
            do()
        except Exception as error:
            traceback.print_exc()
            self.add({"key": key, "error": f"{type(error).__name__}: {error}"[:2000]})
            self.failed.append(key)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def tests(kept: Kept, place: Place) -> None:
    """All tests that are skipped without a GPU."""
    import pytest

    class Reports:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.when == "call" or not report.passed:
                found = {"key": report.nodeid, "outcome": report.outcome}
                error = {"error": report.longreprtext[-2000:]} if report.failed else {}
                kept.add({**found, "seconds": round(report.duration, 2), **error})

    folders = (ROOT / "core" / "tests", *ROOT.glob("methods/*/tests"), ROOT / "tests")
    files = [
        file
        for folder in folders
        for file in folder.rglob("test_*.py")
        if MARKER in file.read_text(encoding="utf-8")
    ]
    done = [f"--deselect={row['key']}" for row in kept.rows]
    plainly = ("-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider")
    status = pytest.main([*map(str, files), "-m", MARKER, *done, *plainly], plugins=[Reports()])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest ended with {status!r}")


def training(kept: Kept, place: Place, *, backbone: str, compiled: bool) -> None:
    """Steps of all methods, each beside static's, in bfloat16 and channels-last."""
    import training as bench

    from dyncore.recipes import find_recipe

    workload = next(one for one in bench.WORKLOADS if one.backbone == backbone)
    options = bench.Options(
        device=place.device, precision="bf16", channels_last=True, compile=compiled
    )
    batch = workload.gpu_batch
    if place.quick:
        workload, batch = replace(workload, backbone="resnet20-cifar", size=8), 4
        options = replace(options, steps=1)

    def build(method: str, kernels: bool) -> bench.Step:
        recipe = find_recipe(workload.recipes[method])
        return bench.build(recipe, workload, batch, replace(options, kernels=kernels))

    def steps(method: str, kernels: bool) -> list[Row]:
        pair = {"static": static, method: static if method == "static" else build(method, kernels)}
        rows = bench.compared(pair, workload, batch, options)
        return [{**row, "kernels": kernels} for row in rows if row["method"] == method]

    static = build("static", kernels=False)
    for kernels in (True,) if compiled else (True, False):  # compiled, blocks are plain anyway
        form = "" if kernels else ", no kernels"
        for method in workload.recipes:
            if kernels or method != "static":
                kept.measure(f"{method}{form}", partial(steps, method, kernels))


def engine(kept: Kept, place: Place, *, rivals: tuple[str, ...]) -> None:
    """The engine against what a static network can run in, per batch size."""
    import engine as bench
    from engine_workloads import WORKLOADS, Workload

    if "tensorrt" in rivals and not place.quick:
        try:
            import torch_tensorrt  # noqa: F401
        except ImportError as missing:
            raise LeftOut(str(missing)) from missing
    named = {workload.name: workload for workload in WORKLOADS}
    workloads = [replace(named[name], rates=RATES) for name in ("blocks", "n2", "groups-50")]
    options = bench.Options(device=place.device, seconds=0.25, engines=rivals)
    batches = BATCHES
    if place.quick:
        tiny = partial(Workload, size=8, rates=(0.5,), batches=())
        workloads = [
            tiny(name="blocks", model="vanilla-resnet20-cifar"),
            tiny(name="n2", model="dmnn-resnet20-cifar-n2"),
            tiny(name="groups", model="lcnet-resnet20-cifar", gate={"channel_group": 16}),
        ]
        options, batches = replace(options, seconds=0.003), (2, 1)
    subjects = bench.Subjects(workloads[0], options)
    for workload in workloads:
        kept.attempt(f"{workload.name} is built", partial(subjects.add, workload, {}))
    built = ", ".join(workload.name for workload in subjects.workloads)
    if not built:
        raise RuntimeError("no engine could be built")
    for batch in batches:
        kept.measure(f"batch {batch} of {built}", partial(subjects.measure, batch))


def campaign(kept: Kept, place: Place) -> None:
    """What training routed networks gains: the runs of a campaign, as far as time allows."""
    if not place.quick and not (place.data and place.weights):
        raise LeftOut("the campaign needs --data and --weights")
    from dyncore.campaigns import Campaign, Work, Workplace

    folder = Path(place.runs)
    results = folder / "results"
    results.mkdir(parents=True, exist_ok=True)
    for row in kept.rows:
        text = json.dumps(row["result"], indent=2, ensure_ascii=False)
        (results / f"{row['key']}.json").write_text(text, encoding="utf-8")
    file = CAMPAIGN
    if place.quick:
        file = folder / "quick.toml"
        file.write_text(QUICK_CAMPAIGN, encoding="utf-8")
    workplace = Workplace(
        file=file,
        campaign=Campaign.load(file),
        data="digits" if place.quick else place.data,
        output=folder,
        results=results,
        models={} if place.quick else models(folder, Path(str(place.weights))),
    )

    def say(line: str) -> None:
        print(line, flush=True)
        for result in sorted(results.glob("*.json")):
            found = json.loads(result.read_text(encoding="utf-8"))
            kept.measure(result.stem, lambda found=found: [{"result": found}])

    jobs = JOBS if place.device == "cuda" else 1
    if failed := Work(workplace, jobs=jobs, say=say).do(workplace.campaign.runs):
        raise RuntimeError(f"runs failed: {', '.join(failed)}")


def models(folder: Path, weights: Path) -> dict[str, str]:
    """Folders of the networks that the campaign's runs start from."""
    from public_resnets import public

    for name, layers in MODELS.items():
        if not (folder / name).exists():
            public(weights, layers).save_pretrained(folder / name)
    return {name: str(folder / name) for name in MODELS}


PARTS: dict[str, Callable[[Kept, Place], None]] = {
    "tests": tests,
    "training-resnet110": partial(training, backbone="resnet110-cifar", compiled=False),
    "training-resnet50": partial(training, backbone="resnet50", compiled=False),
    "engine": partial(engine, rivals=("eager", "graph")),
    "training-resnet50-compiled": partial(training, backbone="resnet50", compiled=True),
    "engine-compiled": partial(engine, rivals=("eager", "compile")),
    "training-resnet110-compiled": partial(training, backbone="resnet110-cifar", compiled=True),
    "engine-tensorrt": partial(engine, rivals=("eager", "tensorrt")),
    "campaign": campaign,
}


def main(place: str, name: str, rows: str) -> None:
    """Do a part; the last row says how it ended."""
    kept = Kept(Path(rows))
    end = {"state": "done", "error": None}
    try:
        PARTS[name](kept, Place(**json.loads(place)))
        if kept.failed:
            end = {"state": "failed", "error": f"failed: {', '.join(kept.failed)}"}
    except LeftOut as reason:
        end = {"state": "left out", "error": str(reason)}
    except Exception as error:
        traceback.print_exc()
        end = {"state": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}
    kept.add(end)


if __name__ == "__main__":
    os.chdir(ROOT)
    main(*sys.argv[1:])
