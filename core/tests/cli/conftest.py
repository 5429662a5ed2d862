"""The ``dyn`` command in this process, on tiny networks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from accelerate.state import AcceleratorState
from PIL import Image

from dyncore.cli import main

TINY = ("--network.backbone.depths", "1", "1", "--network.backbone.widths", "4", "8")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The last line on stderr."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


@pytest.fixture(scope="session", autouse=True)
def _on_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCELERATE_USE_CPU", "true")
        patch.setenv("COLUMNS", "100")
        yield


@pytest.fixture(autouse=True)
def _nothing_is_remembered(tmp_path_factory, monkeypatch) -> None:
    """Answers of other tests and of the user's own calls are not there."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("dyncore.cli._remembered.cache_folder", cache.joinpath)


@pytest.fixture
def dyn(capsys) -> Callable[..., Ended]:
    """Runs ``dyn ARGUMENTS``."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        status = 0
        try:
            main(arguments)
        except SystemExit as stop:
            status = 0 if stop.code is None else int(stop.code)
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, _on_cpu):
    """The folder of ``dyn train`` with overrides."""
    output = tmp_path_factory.mktemp("trained")
    main(
        [
            *("train", "vanilla-resnet20-digits-b0.5", *TINY, "--network.router.dim", "8"),
            *("--objective.rate.target", "0.3", "--optimizer.learning-rate", "0.05"),
            *("--epochs", "1", "--data", "digits", "--output", str(output), "--seed", "5"),
            *("--name", "vanilla-resnet20-digits-b0.5"),  # which it is not: 0.3, of two blocks
        ]
    )
    AcceleratorState._reset_state(reset_partial_state=True)
    return output / "vanilla-resnet20-digits-b0.5"


@pytest.fixture
def animals(tmp_path) -> str:
    """A data set of two classes, without a train split."""
    for label in ("cat", "dog"):
        folder = tmp_path / "animals" / "test" / label
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "0.png")
    return str(tmp_path / "animals")
