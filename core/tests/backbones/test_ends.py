"""What backbones say of their stems and heads is what these compute."""

import pytest
import torch
from torch import nn

from dyncore.backbones import BACKBONES, ResNetConfig, backbone_config


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet20-cifar", "resnet50-cifar2", "mobilenetv2", "mobilenetv2-1.4"]
)
@torch.no_grad()
def test_described_layers_are_the_stem_and_the_head(name):
    backbone = backbone_config(name).build(5).double().eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    x = backbone.stem(images)
    assert backbone.stem_layers(images).equal(x)
    for block in backbone.blocks:
        x = block(x)
    assert backbone.head_layers(x).equal(backbone.head(x))


def test_every_named_backbone_describes_both():
    for config in BACKBONES.values():
        with torch.device("meta"):
            backbone = config.build(5)
        assert backbone.stem_layers is not None
        assert backbone.head_layers is not None


@torch.no_grad()
def test_what_takes_the_place_of_a_part_is_described_no_more():
    backbone = backbone_config("mobilenetv2").build(5)
    backbone.classifier = nn.Linear(1280, 5)
    assert backbone.head_layers is None
    backbone.features[0].register_forward_hook(lambda module, inputs, output: -output)
    assert backbone.stem_layers is None


def test_hooks_of_layers_still_fire():
    backbone = ResNetConfig(block="basic", depths=(1,), widths=(4,), stem="cifar").build(3)
    seen: list[nn.Module] = []
    for layer in (backbone.conv1, backbone.bn1, backbone.fc):
        layer.register_forward_hook(lambda module, *_: seen.append(module))
    backbone(torch.randn(2, 3, 8, 8))
    assert seen == [backbone.conv1, backbone.bn1, backbone.fc]
