"""A signal lets the step end; then the run is saved, leaves, and goes on as if nothing had been."""

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from dyncore.cli._stopped import resume_command
from dyncore.training._signals import StopRequest

from . import forked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")

SCRIPT = Path(__file__).with_name("stopped_run.py")
RUN = "vanilla-resnet20-digits-b0.5"
SMALL = (
    *("--network.backbone.depths", "1", "1", "--network.backbone.widths", "4", "8"),
    *("--batch-size", "240", "--epochs", "2.4", "--name", RUN),
)
"""Twelve steps, five to the epoch."""


def command(
    arguments: list[str],
    errors: Path,
    *,
    at: int = 0,
    signals: tuple[signal.Signals | None, ...] = (None,),
) -> list[int | None]:
    """Run ``dyn train`` in as many processes as there are signals; their exit codes."""
    settings = [
        {"ARGUMENTS": arguments, "ERRORS": f"{errors}.{rank}", "SIGNAL": number, "AT": at}
        for rank, number in enumerate(signals)
    ]
    processes = forked.start(SCRIPT, settings)
    for process in processes:
        process.join(300)
    return [process.exitcode for process in processes]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in ("recipe.json", "evaluation.parquet")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[int, dict[str, bytes]]:
    """What a run leaves that got no signal, by the number of its processes."""
    found = {}
    for processes in (1, 2):
        output = tmp_path_factory.mktemp("whole")
        arguments = [*SMALL, "--output", str(output / "runs")]
        codes = command(arguments, output / "errors", signals=(None,) * processes)
        assert codes == [0] * processes
        found[processes] = contents(output / "runs" / RUN)
    return found


@pytest.mark.parametrize(
    ("at", "signals", "code"),
    [
        (3, (signal.SIGINT,), 130),
        (7, (signal.SIGTERM,), 143),
        (5, (signal.SIGTERM,), 143),  # the end of an epoch, which is evaluated first
        (7, (None, signal.SIGTERM), 143),  # one of two processes
        (7, (signal.SIGINT, signal.SIGINT), 130),
    ],
)
def test_the_step_is_finished_and_the_run_goes_on(tmp_path, whole, at, signals, code):
    output = ["--output", str(tmp_path / "runs")]
    codes = command([*SMALL, *output], tmp_path / "errors", at=at, signals=signals)
    assert codes == [code] * len(signals), [e.read_text() for e in tmp_path.glob("errors.*")]
    last = tmp_path / "runs" / RUN / "checkpoints" / f"step-{at:08d}"
    name = signal.Signals(code - 128).name
    *_, said, how = (tmp_path / "errors.0").read_text().splitlines()
    assert said.startswith(f"dyn: {name}: stopped after step {at} of 12; {last} is where --resume")
    assert ("by the same launcher" in said) == (len(signals) > 1)
    for rank in range(1, len(signals)):
        assert "stopped after" not in (tmp_path / f"errors.{rank}").read_text()
    program, train, run, *arguments = shlex.split(how)
    assert (program, train, run) == ("dyn", "train", RUN)
    quiet = (None,) * len(signals)
    assert command(arguments, tmp_path / "errors", signals=quiet) == [0] * len(signals)
    assert contents(tmp_path / "runs" / RUN) == whole[len(signals)]


def test_a_signal_in_the_last_step_lets_the_run_end(tmp_path, whole):
    arguments = [*SMALL, "--output", str(tmp_path / "runs")]
    codes = command(arguments, tmp_path / "errors", at=12, signals=(signal.SIGTERM,))
    assert codes == [0]
    assert contents(tmp_path / "runs" / RUN) == whole[1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/env/bin/dyn train a --epochs 2", "dyn train a --epochs 2 --resume auto"),
        ("train.py a --resume never --data 'my data'", "train.py a --data 'my data' --resume auto"),
        ("dyn train a --resume=auto --seed 1", "dyn train a --seed 1 --resume auto"),
    ],
)
def test_the_command_that_goes_on(given, expected):
    assert resume_command(shlex.split(given)) == expected


def test_a_second_interrupt_interrupts_a_process_that_is_alone():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest(alone=True) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_one_of_several_processes_hears_an_interrupt_twice():
    with StopRequest(alone=False) as stop:
        assert stop.signal is None
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.signal == signal.SIGINT
