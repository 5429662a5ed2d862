"""A tiny SP-Net of three stages, in float64 and in training mode."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dyn_spnet import SlowProgress, SlowProgressConfig
from dyn_spnet.method import METHOD
from dyncore import DynamicNetwork, Output, cost_table
from dyncore.backbones import ResNetConfig
from dyncore.data import Batch

BACKBONE = ResNetConfig(
    block="basic", depths=(3, 4, 3), widths=(4, 6, 10), stem="cifar", shortcut="pad"
)
CLASSES, BATCH, SIZE = 5, 6, 12

Build = Callable[[DynamicNetwork, SlowProgressConfig], SlowProgress]


def draw(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def model() -> DynamicNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DynamicNetwork(METHOD.configure(BACKBONE, 1, CLASSES)).double().train()


@pytest.fixture
def images() -> Tensor:
    """Normalised images, each of its own colour."""
    return draw(BATCH, 3, 1, 1, seed=1) + 0.5 * draw(BATCH, 3, SIZE, SIZE, seed=2)


@pytest.fixture
def batch(images) -> Batch:
    return Batch(images.sigmoid(), torch.tensor([0, 1, 2, 3, 4, 0]), torch.arange(BATCH))


@pytest.fixture
def output(model, images) -> Output:
    """Of the model in training, with noise."""
    noise = model.draw_noise(BATCH, torch.Generator().manual_seed(3))
    return model(images, noise=noise)


@pytest.fixture
def build() -> Build:
    """Builds an objective part of its own initial weights."""

    def build(model: DynamicNetwork, config: SlowProgressConfig) -> SlowProgress:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            return config.build(model, cost_table(model, (3, SIZE, SIZE))).double().train()

    return build
