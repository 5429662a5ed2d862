"""Small models, as they are after training."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

import dyncore
from dyncore.cascade import Calibration, Cascade, Setting
from dyncore.data import Preprocessing

CLASSES = ("cat", "<i>dog</i>")
SIZE = 16


@pytest.fixture(scope="session")
def network():
    """A network whose gates decide."""
    torch.manual_seed(0)
    model = dyncore.create_model("vanilla-resnet20-cifar", num_classes=len(CLASSES)).eval()
    model.info = replace(
        model.info,
        classes=CLASSES,
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3, size=SIZE),
    )
    return model


def make_cascade(model) -> Cascade:
    """Of a static network and of a dynamic one, with a dial of two settings."""
    first = dyncore.create_model("static-resnet20-cifar", num_classes=len(CLASSES)).eval()
    first.info = model.info
    cascade = Cascade([first, model])
    stay = Setting(thresholds=(0.0,), asked=(1.0, 0.0), cost=1.0, accuracy=0.5)
    go_on = Setting(thresholds=(1.1,), asked=(1.0, 1.0), cost=2.0, accuracy=0.6)
    found = Calibration(
        images=100,
        unit="MACs",
        chosen=go_on,
        tolerance=0.1,
        expected_accuracy=0.6,
        interval=(0.5, 0.7),
        last_cost=1.25,
        dial=(stay, go_on),
    )
    cascade.restore(replace(cascade.policy, calibration=found, thresholds=go_on.thresholds))
    return cascade


@pytest.fixture(scope="session")
def cascade(network) -> Cascade:
    return make_cascade(network)


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    return Image.radial_gradient("L").resize((40, 30))
