"""Tiny float32 networks of every installed method, whose decisions differ between images."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dyncore.network import DynamicNetwork
from dyncore.recipes import find_recipe
from dyncore.registry import list_methods
from dyncore.testing import Case

RECIPES = {
    "static": "static-resnet20-digits",
    "vanilla": "vanilla-resnet20-digits-b0.6",
    "rdinet": "rdinet-resnet20-digits-b0.6",
    "spnet": "spnet-resnet20-digits-b0.6",
    "cdb": "cdb-resnet50-n2-imagenet-b0.7",
    "dmnn": "dmnn-resnet20-n2-digits-b0.6",
    "lcnet": "lcnet-resnet20-digits-b0.6",
}
BLOCKS = (1, 2)
"""Per stage."""


@pytest.fixture(params=RECIPES)
def of_method(request: pytest.FixtureRequest, build_network) -> DynamicNetwork:
    """A network of each method that is installed."""
    if request.param not in list_methods():
        pytest.skip(f"dyn-{request.param} is not installed")
    config = Case.of(find_recipe(RECIPES[request.param])).network
    config = replace(config, backbone=replace(config.backbone, depths=BLOCKS))
    return build_network(config).float()


@pytest.fixture
def small(networks):
    """A float32 copy of a network of ``CONFIGS``, by name."""
    return lambda name: copy.deepcopy(networks[name]).float()


@pytest.fixture
def float_images(images) -> Tensor:
    """The images that the networks are balanced on, in float32."""
    return images.float()


@pytest.fixture
def decide():
    """Makes a gate of two logits decide the same for every image."""

    @torch.no_grad()
    def run(network: DynamicNetwork, block: int, *on: bool) -> None:
        head = network.gates[str(block)].head
        head.weight.zero_()
        head.bias.copy_(torch.tensor([[0.0, 1.0 if n else -1.0] for n in on]).flatten())

    return run
