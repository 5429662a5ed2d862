"""Processes, and where they run.

What is made in one place works in another: threads, caches and paths know where they were made.
"""

import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from dyncore import Engine
from dyncore.engine.native import NativeBackend
from dyncore.native import load

LOKY = """
import json
import joblib, torch, dyncore
images = torch.randn(2, 3, 16, 16)
model = dyncore.create_model("static-resnet20-cifar").eval()
engine = dyncore.Engine(model, images, threads=1, portable=True)
ask = joblib.delayed(lambda asked, images: asked(images).logits)
with joblib.parallel_config("loky", n_jobs=2):
    (found,) = joblib.Parallel()([ask(engine, images)])
print(json.dumps(torch.allclose(found, engine(images).logits)))
"""


@pytest.mark.situation("no home folder, or a cache that cannot be written")
@pytest.mark.needs_compiler
@pytest.mark.parametrize("where", ["no home", "a file", "no rights"])
def test_without_a_cache_code_is_compiled_for_the_process(tmp_path, where, monkeypatch, caplog):
    source = tmp_path / "source" / "answer.cpp"
    source.parent.mkdir()
    source.write_text('extern "C" int answer() { return 42; }')
    if where == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", _no_home)
    else:
        folder = {"a file": str(source), "no rights": "/proc/self"}[where]
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
    code = load(source, torch.float32, (), user="tests run")
    assert code is not None
    assert code.answer() == 42
    assert "the cache cannot keep native code (" in caplog.text
    assert "set XDG_CACHE_HOME to a folder that can be written" in caplog.text


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.situation("an engine made before a fork (`DataLoader`, gunicorn `--preload`)")
@pytest.mark.needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_preloaded_engine_serves_from_threads_of_forked_workers(networks, images):
    """As gunicorn --preload has it: the parent has answered, the children do, several at once."""
    engine = Engine(networks["blend"], images, threads=2)
    assert isinstance(engine._runner.backend, NativeBackend)
    expected = engine(images).logits
    workers = []
    for _ in range(2):
        receiving, sending = os.pipe()
        if (child := os.fork()) == 0:
            _serve(engine, images, expected, sending)
        os.close(sending)
        workers.append((child, receiving))
    for child, receiving in workers:
        with os.fdopen(receiving, "rb") as said:
            assert said.read() == b"same" * 8
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine(images).logits.equal(expected)


def _serve(engine, images, expected, sending) -> None:
    """What a worker does; it ends the process."""
    try:
        torch.set_num_threads(1)
        start = threading.Barrier(4)

        def answer(_: int) -> bytes:
            start.wait()
            found = [engine(images).logits.equal(expected) for _ in range(2)]
            return b"".join(b"same" if same else b"other" for same in found)

        with ThreadPoolExecutor(4) as pool:
            os.write(sending, b"".join(pool.map(answer, range(4))))
    finally:
        os._exit(0)


@pytest.mark.situation("an engine in workers that are spawned (`spawn`, `forkserver`)")
def test_a_pickled_engine_answers_the_same(networks, images):
    """What spawn and forkserver send to their workers."""
    engine = Engine(networks["blend"], images, threads=1)
    again = pickle.loads(pickle.dumps(engine))
    assert again(images).logits.equal(engine(images).logits)


@pytest.mark.situation("an engine in workers of joblib (loky)")
def test_loky_sends_an_engine_to_its_workers():
    """In a process of its own, as its workers do not know the shape checks of the tests."""
    done = subprocess.run([sys.executable, "-c", LOKY], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) is True
