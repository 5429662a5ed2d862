"""Compiled depthwise convolutions, ReLU6 and a head that convolves, against float64."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyncore import Engine
from dyncore.backbones import MobileNetV2Config
from dyncore.blocks import Granularity
from dyncore.engine.native import NativeBackend
from dyncore.gating import GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.network import DynamicConfig

pytestmark = pytest.mark.needs_compiler


def config(width: float, paths: int) -> DynamicConfig:
    return DynamicConfig(
        backbone=MobileNetV2Config(width=width),
        num_classes=3,
        granularity=Granularity(paths=paths),
        router=ShortRangeRouterConfig(dim=16),
        gate=GumbelSoftmaxGateConfig(),
    )


@settings(max_examples=15)
@given(data=st.data())
@torch.no_grad()
def test_any_size_of_maps_batches_and_teams(build_network, data):
    draw = data.draw
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    drawn = config(draw(st.sampled_from([0.1, 0.35, 0.5])), draw(st.integers(1, 3)))
    model = build_network(drawn, draw(st.integers(0, 9)))
    size = draw(st.integers(9, 70)), draw(st.integers(9, 70))
    images = torch.randn(draw(st.integers(1, 5)), 3, *size, generator=generator).double()
    engine = Engine(model, images[:1], threads=draw(st.integers(1, 3)))
    backend = engine._runner.backend
    assert isinstance(backend, NativeBackend)
    assert backend.network.native_stem is not None
    assert backend.network.native_head is not None
    expected, ours = model(images), engine(images)
    for name in ("logits", "features"):
        largest = getattr(expected, name).abs().max().item()
        torch.testing.assert_close(
            getattr(ours, name), getattr(expected, name), rtol=0, atol=1e-9 * (1 + largest)
        )


@torch.no_grad()
def test_a_large_bias_swallows_no_small_terms(build_network):
    """Each of 1280 terms is less than half of what float32 tells apart near the bias.

    Nor does it hide what the head's convolution is followed by: all of that is such small terms.
    """
    torch.manual_seed(0)
    model = build_network(config(0.35, 1))
    linear = model.backbone.classifier[1]
    linear.bias.fill_(1)
    nn.init.uniform_(linear.weight, 0, 1)
    images = torch.randn(2, 3, 32, 32)
    averages = 0.5 * model(images.double()).logits.abs().max()
    linear.weight.mul_(2**-27 / averages * 1280)
    found = Engine(copy.deepcopy(model).float(), images[:1], precision="fp32")(images)
    expected = model.backbone.head(found.features.double())
    assert (expected - 1).abs().max() > 1e-6
    torch.testing.assert_close(found.logits.double(), expected, rtol=0, atol=2e-7)
