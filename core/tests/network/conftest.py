import copy
from pathlib import Path

import pytest

from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork, ModelInfo


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
