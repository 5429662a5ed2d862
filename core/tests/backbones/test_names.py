import pytest
import torch

from dyncore.backbones import BACKBONES, MobileNetV2Config, backbone_config
from dyncore.blocks import Granularity
from dyncore.cost import cost_table
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig
from dyncore.network import DynamicConfig, DynamicNetwork

IMAGENET, CIFAR = (3, 224, 224), (3, 32, 32)


def on_meta(name: str, num_classes: int, *, paths: int = 1, gated: bool = False) -> DynamicNetwork:
    config = DynamicConfig(
        backbone=backbone_config(name),
        num_classes=num_classes,
        granularity=Granularity(paths=paths),
        router=ContextRouterConfig(norm=False) if gated else None,
        gate=StraightThroughGateConfig() if gated else None,
    )
    with torch.device("meta"):
        return DynamicNetwork(config)


@pytest.mark.parametrize(
    ("name", "size", "classes", "printed"),
    [
        ("resnet50", IMAGENET, 1000, "4.0892"),
        ("resnet101", IMAGENET, 1000, "7.8014"),
        ("mobilenetv2", IMAGENET, 1000, "0.3008"),
        ("mobilenetv2-1.4", IMAGENET, 1000, "0.5691"),
        ("resnet20-cifar", CIFAR, 10, "0.0406"),
        ("resnet32-cifar", CIFAR, 10, "0.0689"),
        ("resnet56-cifar", CIFAR, 10, "0.1255"),
        ("resnet110-cifar", CIFAR, 10, "0.2529"),
        ("resnet18-cifar", CIFAR, 10, "0.5554"),
        ("resnet50-cifar", CIFAR, 10, "1.2978"),
        ("resnet101-cifar", CIFAR, 10, "2.5100"),
        ("resnet50-cifar2", CIFAR, 100, "0.326"),
    ],
)
def test_gmacs_of_the_static_backbones(name, size, classes, printed):
    table = cost_table(on_meta(name, classes), size)

    decimals = len(printed.partition(".")[2])
    assert f"{table.static / 1e9:.{decimals}f}" == printed
    assert table.static == table.full == table.always


@pytest.mark.parametrize(
    ("name", "paths", "millions"),
    [
        ("resnet50", 2, "24.45"),
        ("resnet50", 3, "26.01"),
        ("resnet50", 4, "25.83"),
        ("resnet101", 2, "42.77"),
        ("mobilenetv2", 2, "3.57"),
        ("mobilenetv2-1.4", 2, "6.17"),
    ],
)
def test_parameters_of_the_networks_of_cdb_and_dmnn(name, paths, millions):
    """What the printed widths give with a controller per block, every one with its W2.

    The first controller's W2 has nothing to read; our networks do not create it.
    """
    network = on_meta(name, 1000, paths=paths, gated=True)
    first_w2 = 32 * 32 + 32

    total = sum(p.numel() for p in network.parameters()) + first_w2
    assert f"{total / 1e6:.2f}" == millions


@pytest.mark.parametrize(
    ("name", "blocks_per_stage"),
    [
        ("resnet18", (2, 2, 2, 2)),
        ("resnet34", (3, 4, 6, 3)),
        ("resnet50-cifar2", (3, 4, 6, 3)),
        ("resnet101-cifar", (3, 4, 23, 3)),
        ("resnet152", (3, 8, 36, 3)),
        ("mobilenetv2", (1, 2, 3, 7, 4)),
    ],
)
def test_stage_of_each_block_follows_the_resolution(name, blocks_per_stage):
    with torch.device("meta"):
        backbone = backbone_config(name).build(10)
        x, heights = backbone.stem(torch.empty(1, 3, 224, 224)), []
        for block in backbone.blocks:
            x = block.eval()(x)
            heights.append(x.shape[-1])

    expected = [s for s, number in enumerate(blocks_per_stage) for _ in range(number)]
    assert list(backbone.stages) == expected
    ranks = sorted(set(heights), reverse=True)
    assert [ranks.index(height) for height in heights] == expected


@pytest.mark.parametrize("name", BACKBONES)
def test_the_last_linear_layer_has_the_classes(name):
    with torch.device("meta"):
        backbone = backbone_config(name).build(7)

    assert list(backbone.modules())[-1].out_features == 7


def test_any_width_of_mobilenet_v2_has_a_name():
    assert backbone_config("mobilenetv2-0.35") == MobileNetV2Config(width=0.35)
    assert backbone_config("mobilenetv2-1.4") == BACKBONES["mobilenetv2-1.4"]
    assert backbone_config("mobilenetv2-1.0") == backbone_config("mobilenetv2")


@pytest.mark.parametrize("name", ["resnet51", "mobilenetv2-", "mobilenetv2-x", "Resnet50", ""])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=f"unknown backbone '{name}'") as error:
        backbone_config(name)

    for known in ("resnet18", "resnet110b-cifar", "resnet50-cifar2", "mobilenetv2-1.4"):
        assert known in str(error.value)
