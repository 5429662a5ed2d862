"""The engine where people run it: without a home or a cache, in workers of every kind."""

import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
import torch

from dyncore import Engine
from dyncore.engine.native import NativeBackend, _library

SCRIPT = """
import json, logging, sys
logging.basicConfig(stream=sys.stderr)
import torch, dyncore
torch.manual_seed(0)
images = torch.randn(2, 3, 16, 16)
model = dyncore.create_model("vanilla-resnet20-cifar").eval()
engine = dyncore.Engine(model, images, threads=1)
same = torch.allclose(engine(images).logits, model(images).logits, rtol=1e-3, atol=1e-4)
print(json.dumps([type(engine._runner.backend).__name__, same]))
"""


@pytest.mark.needs_compiler
@pytest.mark.parametrize("where", ["no home", "a cache that is a file", "a cache without rights"])
def test_without_a_cache_code_is_compiled_for_the_process(tmp_path, where, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    if where == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr("pathlib.Path.home", _no_home)
    elif where == "a cache that is a file":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self")
    _library.library.cache_clear()
    try:
        assert _library.library(torch.float64) is not None
    finally:
        _library.library.cache_clear()
    assert "the cache cannot keep native code (" in caplog.text
    assert "set XDG_CACHE_HOME to a folder that can be written" in caplog.text


def _no_home():
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.needs_compiler
def test_a_user_without_a_home_runs_an_engine():
    """A container's user that no table of users knows."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment = kept | {"HOME": "/nonexistent", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True, text=True, timeout=300, env=environment, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["NativeBackend", True]


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


def test_a_pickled_engine_answers_the_same(networks, images):
    """What spawn and forkserver send to their workers."""
    engine = Engine(networks["blend"], images, threads=1)
    again = pickle.loads(pickle.dumps(engine))
    assert again(images).logits.equal(engine(images).logits)


def test_loky_sends_an_engine_to_its_workers():
    """In a process of its own, as its workers do not know the shape checks of the tests."""
    script = SCRIPT.rpartition("print")[0] + (
        "import joblib\n"
        "ask = joblib.delayed(lambda asked, images: asked(images).logits)\n"
        "found = joblib.Parallel(n_jobs=2, backend='loky')(ask(engine, images) for _ in range(2))\n"
        "print(json.dumps([torch.allclose(x, engine(images).logits) for x in found]))\n"
    )
    assert joblib.__version__
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True]
