"""What ``nox -s soak`` does at length, twice."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        sys.platform == "win32", reason="there is neither SIGKILL nor a fork server"
    ),
]


@pytest.fixture
def soak_resume(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("soak_resume")
    del sys.modules["soak_resume"]


def test_two_kills_at_random_moments(soak_resume, tmp_path):
    survived = soak_resume.soak(tmp_path, kills=2, seed=1, recipes=soak_resume.RECIPES[1:])
    assert len(survived) == 2


def test_a_run_that_ends_differently_is_seen(soak_resume, tmp_path):
    name = soak_resume.RECIPES[0]
    for output in ("one", "two"):
        soak_resume.finish(name, tmp_path / output)
    one, two = tmp_path / "one" / name, tmp_path / "two" / name
    assert soak_resume.differences(one, two) == []
    metrics = two / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"step": 10', '"step": 11'))
    (two / "model" / "config.json").unlink()
    assert soak_resume.differences(one, two) == ["model/config.json", "metrics.jsonl"]
