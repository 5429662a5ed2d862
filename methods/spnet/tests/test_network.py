"""The network is the vanilla one, and its blocks have the gradients of Eq. 3 and 4."""

import pytest
import torch
from torch import Tensor

from dyn_spnet.method import METHOD
from dyncore import DynamicNetwork, create_model
from dyncore.backbones import backbone_config
from dyncore.gating import Decision
from dyncore.registry import model_config

OPENING = 3
"""The block that opens the second stage: its shortcut changes the shape."""


def block_input(model: DynamicNetwork, images: Tensor, index: int) -> Tensor:
    x = model.backbone.stem(images)
    for block in model.backbone.blocks[:index]:
        x = block(x)
    return x.detach()


def decide(model: DynamicNetwork, x: Tensor, index: int) -> Decision:
    """R_n(x_n, H_n)."""
    key = str(index)
    feature, _ = model.routers[key](x.mean((2, 3)), ())
    return model.gates[key](feature, relaxed=True)


def upstream_of(x: Tensor) -> Tensor:
    return torch.sin(torch.arange(x.numel(), dtype=x.dtype)).reshape(x.shape)


@pytest.mark.parametrize("index", [0, OPENING, 4])
def test_router_gradients_are_eq_3(model, images, index):
    """``dx_{n+1}/dH_n = dR_n/dH_n [F_n(x_n) - x_n]``, image by image."""
    model.eval()
    block, x = model.backbone.blocks[index], block_input(model, images, index)
    parameters = [*model.routers[str(index)].parameters(), *model.gates[str(index)].parameters()]
    decision = decide(model, x, index)
    mixed = block(x, decision)
    upstream = upstream_of(mixed)
    found = torch.autograd.grad(mixed, parameters, upstream, retain_graph=True)
    with torch.no_grad():
        skipped = x if index != OPENING else block.activation(block.downsample(x))
        change = (upstream * (block(x) - skipped)).sum((1, 2, 3))
    expected = [torch.zeros_like(p) for p in parameters]
    for image in range(len(images)):
        sensitivity = torch.autograd.grad(decision.weight[image, 0], parameters, retain_graph=True)
        for total, part in zip(expected, sensitivity, strict=True):
            total += part * change[image]
    torch.testing.assert_close(found, tuple(expected))
    assert all(gradient.any() for gradient in found)


@pytest.mark.parametrize("index", [0, OPENING, 4])
def test_block_gradients_are_eq_4(model, images, index):
    """``dx_{n+1}/dW_n = dF_n/dW_n R_n(x_n, H_n)``, image by image."""
    model.eval()
    block, x = model.backbone.blocks[index], block_input(model, images, index)
    parameters = list(block.parameters())
    decision = decide(model, x, index)
    mixed = block(x, decision)
    upstream = upstream_of(mixed)
    found = torch.autograd.grad(mixed, parameters, upstream)
    expected = [torch.zeros_like(p) for p in parameters]
    for image in range(len(images)):
        own = slice(image, image + 1)
        sensitivity = torch.autograd.grad(block(x[own]), parameters, upstream[own])
        for total, part in zip(expected, sensitivity, strict=True):
            total += part * decision.weight[image, 0].detach()
    torch.testing.assert_close(found, tuple(expected))


@pytest.mark.parametrize("backbone", METHOD.backbones)
def test_the_preset_is_the_vanilla_one(backbone):
    classes = 10 if "cifar" in backbone else 1000
    preset = METHOD.configure(backbone_config(backbone), 1, classes)
    assert preset == model_config(f"vanilla-{backbone}")


def test_models_of_several_paths_are_additive():
    backbone = backbone_config("resnet20-cifar")
    assert METHOD.configure(backbone, 2, 10) == create_model("vanilla-resnet20-cifar-n2").config
