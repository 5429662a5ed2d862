import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.registry import _entry_points, registered

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def absent(monkeypatch) -> None:
    """One of our own methods that is not installed, whichever others are."""
    monkeypatch.setitem(_entry_points.PACKAGES, "absent", "dyn-absent")


@pytest.fixture
def install(tmp_path, monkeypatch) -> Iterator[Install]:
    """Puts a distribution with one module on the path, as pip would."""

    def install(name: str, entry_points: Mapping[str, Mapping[str, str]], source: str = "") -> None:
        """``entry_points`` by group, then by name; ``source`` is its module ``<package>_parts``."""
        site, package = tmp_path / name, name.replace("-", "_")
        metadata = site / f"{package}-1.5.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        sections = (
            f"[dyncore.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in entry_points.items()
        )
        (metadata / "entry_points.txt").write_text("\n".join(sections))
        (site / f"{package}_parts.py").write_text(source)
        sys.modules.pop(f"{package}_parts", None)
        monkeypatch.syspath_prepend(site)
        registered.cache_clear()

    registered.cache_clear()
    yield install
    monkeypatch.undo()
    registered.cache_clear()


@pytest.fixture(scope="module")
def model(networks) -> DynamicNetwork:
    """A network of whole blocks, in float32, with an info."""
    model = copy.deepcopy(networks["blend"]).float()
    model.info = ModelInfo(
        method="vanilla",
        model="vanilla-resnet20-cifar",
        classes=("ant", "bee", "cow", "dog", "elk"),
        preprocessing=Preprocessing(mean=(0.1, 0.2, 1 / 3), std=(0.4, 0.5, 0.6), size=13),
        metrics={"accuracy": 0.1 + 0.2, "macs_ratio": 1},
    )
    return model


@pytest.fixture
def saved(model, tmp_path) -> Path:
    """The folder of that model."""
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"
