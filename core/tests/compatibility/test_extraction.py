"""Features for detectors and segmenters.

A backbone by itself is the static network; `model.feature_maps` gives routed maps.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FeaturePyramidNetwork

from dyncore.backbones import backbone_config


@pytest.mark.situation("torchvision's `IntermediateLayerGetter` on `model.backbone`")
@pytest.mark.parametrize("name", ["resnet18", "resnet20-cifar", "resnet50-cifar2"])
@torch.no_grad()
def test_children_one_after_the_other_are_the_stages(name):
    backbone = backbone_config(name).build(5).double().eval()
    images = torch.randn(2, 3, 40, 32, dtype=torch.float64)
    layers = [child for child in dict(backbone.named_children()) if child.startswith("layer")]
    got = IntermediateLayerGetter(backbone, {layer: layer for layer in layers})(images)
    for stage, layer in enumerate(layers, start=1):
        expected = backbone.trunk(backbone.stem(images), stages=stage)
        torch.testing.assert_close(got[layer], expected)
    pooled = IntermediateLayerGetter(backbone, {"avgpool": "x"})(images)["x"].flatten(1)
    torch.testing.assert_close(backbone.fc(pooled), backbone(images))


@pytest.mark.situation("`backbone.features` of a MobileNetV2 by itself")
@torch.no_grad()
def test_mobilenets_features_are_what_the_head_reads():
    backbone = backbone_config("mobilenetv2-0.35").build(5).double().eval()
    images = torch.randn(2, 3, 40, 32, dtype=torch.float64)
    x = IntermediateLayerGetter(backbone, {"features": "x"})(images)["x"]
    torch.testing.assert_close(backbone.classifier(x.mean((2, 3))), backbone(images))
    x = backbone.features[0](images)
    for block in backbone.blocks:
        x = block(x)
    torch.testing.assert_close(backbone.head(x), backbone(images))


@pytest.mark.situation("a feature pyramid (`BackboneWithFPN`) on `model.backbone`")
@torch.no_grad()
def test_a_pyramid_stands_on_a_backbone():
    backbone = backbone_config("resnet18").build(5).eval()
    maps = IntermediateLayerGetter(backbone, {"layer2": "0", "layer3": "1", "layer4": "2"})
    pyramid = FeaturePyramidNetwork([128, 256, 512], 8)
    out = pyramid(maps(torch.randn(1, 3, 64, 96)))
    assert {name: tuple(x.shape) for name, x in out.items()} == {
        "0": (1, 8, 8, 12), "1": (1, 8, 4, 6), "2": (1, 8, 2, 3)
    }  # fmt: skip


@pytest.mark.situation("torchvision's `create_feature_extractor` (`torch.fx`)")
def test_a_traced_backbone_gives_the_same():
    """In a process of its own: shapes are checked here, and stand-ins have none."""
    script = Path(__file__).with_name("extracted.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(done.stdout).values())
