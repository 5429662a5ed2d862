"""The static builds are torchvision's networks: names, sizes and outputs."""

import pytest
import torch
import torchvision.models as tv
from torch import nn

from dyncore.backbones import MobileNetV2Config, backbone_config
from dyncore.blocks import Granularity

SMALL = ["resnet18", "resnet34", "resnet50"]
DEEP = ["resnet101", "resnet152"]


@pytest.mark.parametrize("name", SMALL)
def test_resnet_agrees_with_torchvision(agree, name):
    agree(
        lambda: tv.get_model(name, num_classes=10),
        lambda: backbone_config(name).build(10),
        size=33,
        train=True,
    )


@pytest.mark.parametrize("name", DEEP)
def test_deep_resnet_agrees_with_torchvision(agree, name):
    agree(
        lambda: tv.get_model(name, num_classes=10),
        lambda: backbone_config(name).build(10),
        size=33,
        train=False,
    )


@pytest.mark.parametrize("width", [0.35, 1.0, 1.4])
def test_mobilenet_v2_agrees_with_torchvision(agree, width):
    agree(
        lambda: tv.mobilenet_v2(num_classes=10, width_mult=width),
        lambda: MobileNetV2Config(width=width, multiple_of=8, dropout=0.2).build(10),
        size=33,
        train=True,
    )


@pytest.mark.parametrize("width", [0.1, 0.25, 0.5, 0.55, 0.75, 1.3, 1.55, 2.0])
def test_mobilenet_v2_has_torchvisions_shapes_at_any_width(width):
    with torch.device("meta"):
        theirs = tv.mobilenet_v2(width_mult=width).state_dict()
        ours = MobileNetV2Config(width=width, multiple_of=8).build(1000).state_dict()

    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@pytest.mark.parametrize("name", ["resnet18-cifar", "resnet50-cifar", "resnet50-cifar2"])
def test_cifar_stem_agrees_with_torchvision_after_surgery(agree, name):
    original, stem = name.split("-")

    def reference() -> nn.Module:
        network = tv.get_model(original, num_classes=10)
        network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        if stem == "cifar":
            network.maxpool = nn.Identity()
        return network

    agree(reference, lambda: backbone_config(name).build(10), size=17, train=False)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("mobilenetv2", 3_504_872),
    ],
)
def test_number_of_parameters_is_torchvisions(name, parameters):
    """``num_params`` in the meta data of torchvision's published weights."""
    with torch.device("meta"):
        network = backbone_config(name).build(1000)

    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenetv2"])
def test_channel_gating_and_blend_keep_torchvisions_names(name):
    reference = "mobilenet_v2" if name == "mobilenetv2" else name
    config = backbone_config(name)
    with torch.device("meta"):
        expected = list(tv.get_model(reference).state_dict())
        builds = [config.build(1000, combine="blend")]
        if name != "mobilenetv2":
            builds.append(config.build(1000, granularity=Granularity(channels=True)))

    assert all(list(build.state_dict()) == expected for build in builds)
