"""Many images for the tiny networks, and networks that say what images go through."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dyncore.calibration import _calibrate, _search, calibrate
from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork, _dial

SEEN = Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3, size=16)
Labelled = tuple[Tensor, Tensor]
KINDS = ("blend", "n2-basic", "n3-bottleneck", "salience", "channels-basic")
"""Whole blocks, paths, blocks with a salience, channels within."""


def drawn(count: int, seed: int) -> Labelled:
    """Images in [0, 1] of different colour and contrast, and labels."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(count, 3, 1, 1, generator=generator, dtype=torch.float64)
    texture = torch.rand(count, 3, 13, 16, generator=generator, dtype=torch.float64)
    contrast = torch.rand(count, 1, 1, 1, generator=generator, dtype=torch.float64)
    return torch.lerp(colour, texture, contrast), torch.randint(5, (count,), generator=generator)


@pytest.fixture(scope="session")
def held_out() -> list[Labelled]:
    """Two batches to calibrate on."""
    images, labels = drawn(300, seed=1)
    return list(zip(images.split(180), labels.split(180), strict=True))


@pytest.fixture(scope="session")
def unseen() -> list[Labelled]:
    """Other images of the same kind."""
    return [drawn(300, seed=2)]


@pytest.fixture(scope="session", autouse=True)
def _coarse():
    """Fewer settings, found on fewer images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_search, "STEP", 0.06)
        patch.setattr(_dial, "JUMP", 0.2)
        patch.setattr(_calibrate, "PROBED", 60)
        yield


@pytest.fixture
def model(networks) -> DynamicNetwork:
    """A network of whole blocks, of one's own."""
    return own(networks["blend"])


def own(network: DynamicNetwork) -> DynamicNetwork:
    """A copy that says what its images go through."""
    found = copy.deepcopy(network)
    found.info = replace(found.info, model="tiny", preprocessing=SEEN)
    return found


@pytest.fixture(scope="session", params=KINDS)
def calibrated_once(request, networks, held_out) -> DynamicNetwork:
    """Each kind of network with its dial; shared."""
    network = own(networks[request.param])
    calibrate(network, held_out)
    return network


@pytest.fixture
def calibrated(calibrated_once) -> DynamicNetwork:
    """The same, of one's own."""
    return copy.deepcopy(calibrated_once)
