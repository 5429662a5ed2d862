import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import Granularity


@pytest.mark.parametrize("paths", [1, 2])
@pytest.mark.parametrize(("form", "layers"), [("basic", 2), ("bottleneck", 3)])
def test_layers_are_the_modules_of_the_block(make_block, form, layers, paths):
    block = make_block("projection", form=form, paths=paths)
    owners = [block] if paths == 1 else list(block.branches)

    for path, owner in zip(block.paths, owners, strict=True):
        assert len(path.layers) == layers
        for number, layer in enumerate(path.layers, start=1):
            assert layer.conv is owner.get_submodule(f"conv{number}")
            assert layer.norm is owner.get_submodule(f"bn{number}")


def test_layers_chained_by_hand_are_the_path(make_block, x):
    path = make_block("projection", form="bottleneck").paths[0]

    out = x
    for conv, norm, activation in path.layers:
        out = activation(norm(conv(out)))

    assert out.equal(path(x))


def test_path_follows_a_replaced_norm(make_block, x):
    block = make_block("projection")
    path = block.paths[0]
    convolved = block.conv2(torch.relu(block.bn1(block.conv1(x))))

    block.bn2 = nn.Identity()

    assert path.layers[1].norm is block.bn2
    torch.testing.assert_close(path(x), convolved, rtol=0, atol=1e-12)


@pytest.mark.parametrize("paths", [1, 2])
def test_path_follows_conversion_to_sync_batch_norm(make_block, x, paths):
    block = make_block("projection", paths=paths)
    expected = block(x)

    converted = nn.SyncBatchNorm.convert_sync_batchnorm(block)

    norms = [layer.norm for path in converted.paths for layer in path.layers]
    assert norms
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    assert converted(x).equal(expected)


def paths_of_every_kind():
    stages = {"depths": (1, 1), "widths": (4, 8), "stem": "cifar"}
    networks = [
        ResNetConfig(block="basic", **stages).build(2),
        ResNetConfig(block="bottleneck", **stages).build(2, granularity=Granularity(paths=2)),
        MobileNetV2Config(width=0.2).build(2),
    ]
    with_strides = [networks[0].blocks[1], networks[1].blocks[1], *networks[2].blocks[:3]]
    return [block.paths[-1] for block in with_strides]


PATHS = paths_of_every_kind()


@given(path=st.sampled_from(PATHS), height=st.integers(1, 11), width=st.integers(1, 11))
def test_spatial_is_the_size_that_the_convolutions_give(path, height, width):
    x = torch.empty(1, path.layers[0].conv.in_channels, height, width)

    for count, (conv, _, _) in enumerate(path.layers, start=1):
        x = conv(x)
        assert path.spatial((height, width), layers=count) == tuple(x.shape[-2:])
    assert path.spatial((height, width)) == tuple(x.shape[-2:])
