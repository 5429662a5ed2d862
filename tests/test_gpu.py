"""What ``benchmarks/gpu.py`` does with time, failures and earlier results; its parts, tiny."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
MODULES = ("gpu", "gpu_parts", "training", "engine", "engine_turns", "engine_workloads", "record")

FAKE = """
import json, sys, time

place, name, rows = sys.argv[1:]
before = [json.loads(line) for line in open(rows)]

def add(**row):
    with open(rows, "a") as file:
        file.write(json.dumps(row) + "\\n")

if name == "dies":
    add(key="first", value=1)
    sys.exit(3)
if name == "slow" and not before:
    add(key="first", value=1)
    time.sleep(600)
if name == "errs":
    add(key="wrong", error="ValueError: no")
    add(state="failed", error="failed: wrong")
    sys.exit()
add(key="last", before=len(before))
add(state="done", error=None)
"""


@pytest.fixture
def module(monkeypatch):
    """Imports one of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def gpu(module):
    return module("gpu")


@pytest.fixture
def sitting(gpu, tmp_path):
    """Runs parts of these names and limits; the record that is left."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    about = {"device": "some GPU", "torch": "2.11"}

    def run(seconds=60.0, resume=False, **limits):
        record = gpu.opened(tmp_path, about, resume=resume)
        parts = [gpu.Part(name, limit) for name, limit in limits.items()]
        with (tmp_path / "gpu.log").open("ab") as log:
            fine = gpu.run(parts, [sys.executable, str(script), "{}"], seconds, record, log)
        return fine, json.loads((tmp_path / "gpu.json").read_text())["parts"]

    return run


def test_a_part_that_fails_or_takes_too_long_is_noted_and_the_next_one_runs(sitting):
    fine, parts = sitting(dies=30, errs=30, slow=0.7, good=30)
    assert not fine
    assert {name: part["state"] for name, part in parts.items()} == {
        "dies": "failed",
        "errs": "failed",
        "slow": "out of time",
        "good": "done",
    }
    assert parts["dies"]["error"] == "the process ended with status 3"
    assert parts["errs"]["error"] == "failed: wrong"
    assert [row["key"] for row in parts["slow"]["rows"]] == ["first"]
    assert parts["good"]["rows"] == [{"key": "last", "before": 0}]


def test_the_same_command_goes_on_with_what_is_not_done(sitting):
    sitting(errs=30, slow=0.7, good=30)
    _, before = sitting(resume=True, errs=30)
    assert [row["key"] for row in before["errs"]["rows"]] == ["wrong"]  # measured anew, not twice
    fine, parts = sitting(resume=True, slow=30, good=30)
    assert fine
    assert [row["key"] for row in parts["slow"]["rows"]] == ["first", "last"]
    assert parts["slow"]["rows"][1]["before"] == 1
    assert parts["good"] == before["good"]


def test_all_parts_together_have_a_limit(sitting, gpu):
    _, parts = sitting(seconds=gpu.GRACE + 1.2, slow=600, good=600)
    assert parts["slow"]["error"] == "not done in 1 s"
    assert parts["good"] == {"state": "out of time", "error": "not begun"}


def test_results_of_another_machine_are_not_gone_on_with(sitting, gpu, tmp_path):
    sitting(good=30)
    with pytest.raises(ValueError, match="go on with --resume"):
        sitting(good=30)
    with pytest.raises(ValueError, match=r"measured with torch 2\.11, here is 2\.12"):
        gpu.opened(tmp_path, {"device": "some GPU", "torch": "2.12"}, resume=True)


def test_what_cannot_run_is_refused_at_once(gpu, monkeypatch):
    with pytest.raises(ValueError, match="no part is called 'all'; there are tests, "):
        gpu.chosen(["all"], None)
    needing = gpu.Part("tests", 1, ("nothing_of_this_name",))
    monkeypatch.setattr(gpu, "PARTS", (needing, gpu.Part("engine", 1, ())))
    with pytest.raises(ValueError, match=r"nothing_of_this_name are not installed.*--packages"):
        gpu.chosen([], None)
    assert [part.name for part in gpu.chosen(["engine"], None)] == ["engine"]


def test_every_part_is_there(gpu, module):
    assert list(module("gpu_parts").PARTS) == [part.name for part in gpu.PARTS]
    assert sum(part.seconds for part in gpu.PARTS[:-1]) < 600


@pytest.mark.nightly
class TestParts:
    @pytest.fixture
    def parts(self, module):
        return module("gpu_parts")

    @pytest.fixture
    def place(self, parts, tmp_path):
        where = {"data": None, "weights": None, "runs": str(tmp_path / "runs")}
        return parts.Place(device="cpu", quick=True, **where)

    @pytest.fixture
    def kept(self, parts, tmp_path):
        file = tmp_path / "rows.jsonl"
        file.touch()
        return lambda: parts.Kept(file)

    def test_training(self, parts, place, kept, module, monkeypatch):
        training = module("training")
        recipes = {
            "static": "static-resnet110-cifar10",
            "dmnn": "no-such-recipe",
            "vanilla": "vanilla-resnet110-cifar10-b0.6",
        }
        workload = replace(training.WORKLOADS[0], recipes=recipes)
        monkeypatch.setattr(training, "WORKLOADS", (workload,))
        parts.training(rows := kept(), place, backbone="resnet110-cifar", compiled=False)
        static, failed, vanilla, *rest = rows.rows
        assert [row["key"] for row in rest] == ["dmnn, no kernels", "vanilla, no kernels"]
        assert rows.failed == ["dmnn", "dmnn, no kernels"]
        assert "no-such-recipe" in failed["error"]
        assert (static["key"], static["time_ratio"], static["memory_ratio"]) == ("static", 1, 1)
        assert vanilla["method"] == "vanilla"
        assert vanilla["step_s"] > 0
        assert vanilla["memory_ratio"] > 1

    def test_the_engine(self, parts, place, kept):
        rows = kept()
        parts.engine(rows, place, rivals=("eager",))
        assert not rows.failed
        found = {(row["workload"], row["batch"]) for row in rows.rows}
        assert found == {(name, batch) for name in ("blocks", "n2", "groups") for batch in (1, 2)}
        for row in rows.rows:
            assert list(row["static_s"]) == ["eager"]
            assert row["over_static"] == pytest.approx(row["p50_s"] / row["static_s"]["eager"])
            assert row["agreement"]["images"] == 4
        parts.engine(again := kept(), place, rivals=("eager",))
        assert again.rows == rows.rows

    def test_the_campaign_goes_on_with_results_that_are_kept(self, parts, place, kept, monkeypatch):
        begun = []

        class Work:
            def __init__(self, workplace, *, jobs, say):
                self.results, self.say = workplace.results, say

            def do(self, runs):
                begun.extend(run.name for run in runs)
                found = [file.stem for file in self.results.iterdir()]
                (self.results / "static-s0.json").write_text('{"run": "static"}')
                self.say("one is done")
                return [] if found else ["vanilla-s0"]

        monkeypatch.setattr("dyncore.campaigns.Work", Work)
        rows = kept()
        with pytest.raises(RuntimeError, match="runs failed: vanilla-s0"):
            parts.campaign(rows, place)
        assert rows.rows == [{"key": "static-s0", "result": {"run": "static"}}]
        (Path(place.runs) / "results" / "static-s0.json").unlink()
        parts.campaign(kept(), place)
        assert begun == ["static-s0", "static-s0"]

    def test_what_a_part_lacks_is_said(self, parts, place, kept):
        with pytest.raises(parts.LeftOut, match="needs --data and --weights"):
            parts.campaign(kept(), replace(place, quick=False))


@pytest.mark.skipif(torch.cuda.is_available(), reason="they run, and take their time")
def test_the_tests_are_those_that_need_a_gpu(tmp_path):
    command = ["benchmarks/gpu.py", "--device", "cpu", "--quick", "--only", "tests"]
    ended = subprocess.run(
        [sys.executable, *command, "--output", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["parts"]["tests"]["state"] == "done"
    rows = found["parts"]["tests"]["rows"]
    assert {row["outcome"] for row in rows} == {"skipped"}
    files = {row["key"].partition("::")[0] for row in rows}
    assert {"core/tests/test_gpu.py", "core/tests/training/test_guard.py"} <= files
