"""A campaign of runs of seconds, on digits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncore.campaigns import Campaign, Workplace

TINY = "--network.backbone.depths 1 1 --network.backbone.widths 4 8 --batch-size 240"
SOFT = (
    "--network.router.dim 8 --network.gate.initial-biases 0 0 "
    "--optimizer.router-learning-rate 0.01 "
    "--phases.0.annealing.start 8 --phases.0.annealing.end 0.12 --phases.0.annealing.until 0.95 "
    "--phases.0.annealing.fade 0.6"
)
"""Some blocks run: of none a subnet would be next to nothing."""
TEXT = f"""
about = "The smallest networks"
options = "{TINY}"

[runs.static]
recipe = "static-resnet20-digits"
options = "--epochs 8 --optimizer.learning-rate 0.05"

[runs.vanilla]
recipe = "vanilla-resnet20-digits-b0.5"
options = "--epochs 2 {SOFT}"
seeds = [0, 1]
init = "static"

[runs.subnet]
recipe = "static-resnet20-digits"
options = "--epochs 1"
init = "static"
subnet_of = "vanilla"

[runs.random]
recipe = "vanilla-resnet20-digits-b0.5+taught"
options = "--epochs 1 --network.router.dim 8"
teacher = "static"
rates_of = "vanilla"
"""


@pytest.fixture(scope="session", autouse=True)
def _on_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCELERATE_USE_CPU", "true")
        yield


def open_campaign(folder: Path, text: str = TEXT, **models: str) -> Workplace:
    """The campaign ``tiny.toml`` in ``folder``, with runs and results beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    return Workplace(
        file=file,
        campaign=Campaign.load(file),
        data=None,
        output=folder / "runs",
        results=folder / "results",
        models=models,
    )


@pytest.fixture
def place(tmp_path) -> Workplace:
    return open_campaign(tmp_path)
