"""The model that these tests push, and what it is on the Hub."""

import copy

import torch

from dyncore.data import Preprocessing
from dyncore.gating import config_to_dict
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.recipes import find_recipe

NAME = "org/digits-net"
RESULTS = ".eval_results/cifar10.yaml"
FILES = {
    *("config.json", "model.safetensors", "README.md", "evaluation.json", "recipe.json"),
    RESULTS,
}
TOKEN = "hf_canary0123456789"


def make_model(network: DynamicNetwork) -> DynamicNetwork:
    model = copy.deepcopy(network).float()
    model.info = ModelInfo(
        method="vanilla",
        model="vanilla-resnet20-cifar",
        classes=("ant", "bee", "cow", "dog", "elk"),
        preprocessing=Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), size=13),
        dataset="cifar10",
        metrics={"accuracy": 0.1 + 0.2, "macs_ratio": 0.625},
        recipe=config_to_dict(find_recipe("vanilla-resnet20-digits-b0.5"))
        | {"dataset": "uoft-cs/cifar10"},
    )
    return model


def assert_same(loaded: DynamicNetwork, model: DynamicNetwork) -> None:
    assert loaded.info == model.info
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
