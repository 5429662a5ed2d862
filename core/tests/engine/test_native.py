"""The engine's compiled code, against the model in float64."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyncore import Engine
from dyncore.engine.native import NativeBackend, _block


@pytest.mark.needs_compiler
@settings(max_examples=30)
@given(data=st.data())
def test_any_size_of_maps_batches_and_teams(build_resnet, drawn_path, assert_agrees, data):
    """Tiles are cut by width, channels by vectors, images and rows by threads: all at odds."""
    draw = data.draw
    channels = draw(st.booleans())
    group = draw(st.sampled_from([1, 3, 16, 2**40]))
    model = build_resnet(
        draw(st.sampled_from(["basic", "bottleneck"])),
        draw(st.sampled_from([(3, 5), (8,), (16, 24), (33,)])),
        draw(st.sampled_from(["cifar", "cifar2", "imagenet"])),
        1 if channels else draw(st.integers(1, 3)),
        channels,
        draw(st.sampled_from(["projection", "pad"])),
        group,
    )
    size, images = (draw(st.integers(5, 37)), draw(st.integers(5, 37))), draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    given_images = torch.randn(images, 3, *size, generator=generator, dtype=torch.float64)
    most = draw(st.sampled_from([None, 0, 10**6]))
    rule = _block.max_picked if most is None else lambda plan: min(most, plan.channels)
    with patch.object(_block, "max_picked", rule):
        engine = Engine(model, given_images[:1], threads=draw(st.integers(1, 3)))
    assert isinstance(engine._runner.backend, NativeBackend)
    path = drawn_path(model, images, draw(st.sampled_from([0.0, 0.4, 0.9, 1.0])), generator, group)
    assert_agrees(engine, model, given_images, path)
    assert_agrees(engine, model, given_images, None)


@pytest.mark.needs_compiler
@torch.no_grad()
def test_long_sums_do_not_swallow_small_terms(build_resnet, drawn_path):
    """A first term of 2²⁴ among 2304: in one float32 sum all others would be rounded away."""
    torch.manual_seed(0)
    model = build_resnet("basic", (256,), "cifar", 1, False, "projection")
    model.backbone.conv1.weight.abs_()
    first, second = (m for m in model.backbone.blocks[0].modules() if isinstance(m, nn.Conv2d))
    first.weight.fill_(0.5)
    first.weight[:, 0, 0, 0] = 2.0**24
    second.weight.abs_()
    images = torch.rand(2, 3, 8, 8)
    path = drawn_path(model, 2, 1.0, torch.Generator())
    expected = model(images.double(), path=path).logits
    engine = Engine(model.float(), images[:1], precision="fp32")
    found = engine(images, path=path).logits
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5 * expected.abs().max())


@pytest.mark.needs_compiler
def test_weights_other_than_one_scale_each_path(build_resnet, drawn_path, assert_agrees):
    model = build_resnet("bottleneck", (8,), "cifar", 3, False, "projection")
    images = torch.randn(4, 3, 9, 9, dtype=torch.float64)
    path = drawn_path(model, 4, 0.7, torch.Generator().manual_seed(0))
    for decision in path:
        decision.weight.mul_(torch.rand_like(decision.weight))
    assert_agrees(Engine(model, images, threads=2), model, images, path)


@pytest.mark.needs_compiler
def test_large_batches_run_in_portions(build_resnet, drawn_path, assert_agrees):
    model = build_resnet("basic", (4, 8), "cifar", 1, False, "pad")
    images = torch.randn(7, 3, 8, 8, dtype=torch.float64)
    engine = Engine(model, images, threads=2)
    engine._runner.backend._process._portion = 3
    path = drawn_path(model, 7, 0.5, torch.Generator().manual_seed(1))
    assert_agrees(engine, model, images, path)


@pytest.mark.needs_compiler
def test_images_with_large_maps_go_through_several_blocks_at_a_time(
    build_resnet, drawn_path, assert_agrees
):
    """Those of the first stage are larger than LARGE_MAP of cpp/network.h, the others not."""
    model = build_resnet("basic", (4, 8), "cifar", 1, False, "projection")
    images = torch.randn(5, 3, 164, 164, dtype=torch.float64)
    engine = Engine(model, images[:1], threads=2)
    network = engine._runner.backend.network
    sizes = [8 * block.maps.map.numbers for block in network.blocks]
    assert min(sizes[:2]) > 3 * 2**19 > max(sizes[2:])
    assert_agrees(engine, model, images, None)
    path = drawn_path(model, 5, 0.5, torch.Generator().manual_seed(0))
    assert_agrees(engine, model, images, path)
