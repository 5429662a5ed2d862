import pytest

from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import Granularity


def resnet(**changes) -> ResNetConfig:
    fields = {"block": "basic", "depths": (1, 1), "widths": (4, 8), "stem": "cifar"}
    return ResNetConfig(**(fields | changes))


@pytest.mark.parametrize("changes", [{"depths": ()}, {"depths": (1,)}, {"widths": (4, 8, 16)}])
def test_depths_and_widths_must_name_the_same_stages(changes):
    with pytest.raises(ValueError, match=r"depths .* and widths .* must name the same stages"):
        resnet(**changes)


@pytest.mark.parametrize("changes", [{"depths": (1, 0)}, {"widths": (-4, 8)}])
def test_depths_and_widths_must_be_positive(changes):
    with pytest.raises(ValueError, match=r"depths .* and widths .* must be positive"):
        resnet(**changes)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_mobilenet_width_must_be_positive(width):
    with pytest.raises(ValueError, match="width must be positive"):
        MobileNetV2Config(width=width)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_mobilenet_dropout_must_be_a_probability(dropout):
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\)"):
        MobileNetV2Config(dropout=dropout)


def test_mobilenet_refuses_channels_with_a_way_out():
    with pytest.raises(ValueError, match=r"granularity\.channels .* mobilenetv2.*ResNet"):
        MobileNetV2Config().build(10, granularity=Granularity(channels=True))


def test_first_block_of_mobilenet_has_one_path():
    """It has no expansion to split (DMNN, Figure 2a)."""
    backbone = MobileNetV2Config(width=0.35).build(10, granularity=Granularity(paths=3))

    assert [len(block.paths) for block in backbone.blocks] == [1] + [3] * 16


def test_every_path_of_mobilenet_has_its_share_of_the_expansion():
    backbone = MobileNetV2Config().build(10, granularity=Granularity(paths=2))

    for block in backbone.blocks[1:]:
        for path in block.paths:
            expand, depthwise, project = (layer.conv for layer in path.layers)
            assert expand.out_channels == 3 * expand.in_channels
            assert depthwise.groups == depthwise.out_channels == project.in_channels
