"""What ``nox -s soak -- soak_engine`` does at length, for 200 calls."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory as Linux tells it")
def test_memory_stays_flat(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    soak_engine = importlib.import_module("soak_engine")
    try:
        before, after = soak_engine.soak(soak_engine.Options(calls=200, warm_up=200, most=8))
    finally:
        del sys.modules["soak_engine"]
    assert after - before < 8
