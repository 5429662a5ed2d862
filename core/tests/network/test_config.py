import pytest

from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import Granularity
from dyncore.gating import (
    ContextRouterConfig,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
)
from dyncore.network import DynamicConfig, DynamicNetwork

RESNET = ResNetConfig(block="basic", depths=(1,), widths=(4,), stem="cifar")
ROUTER, GATE, RELU1 = ContextRouterConfig(), GumbelSoftmaxGateConfig(), ReLU1GateConfig()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, not 0"),
        ({"router": ROUTER}, "router and gate go together"),
        ({"gate": GATE}, "router and gate go together"),
        (
            {"combine": "blend", "granularity": Granularity(paths=2)},
            r"combine='blend' .* granularity\.paths = 1 .*'additive'",
        ),
        (
            {"combine": "blend", "granularity": Granularity(channels=True)},
            r"combine='blend' .* no channels",
        ),
        ({"granularity": Granularity(channels=True)}, r"granularity\.channels needs .*'relu1'"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        DynamicConfig(**({"backbone": RESNET, "num_classes": 5} | fields))


@pytest.mark.parametrize(
    ("backbone", "router", "gate", "message"),
    [
        (RESNET, ROUTER, GATE, "gate 'gumbel-softmax' decides paths only"),
        (MobileNetV2Config(), IdentityRouterConfig(), RELU1, "not defined for mobilenetv2"),
    ],
)
def test_channels_need_a_gate_and_a_backbone_that_have_them(backbone, router, gate, message):
    granularity = Granularity(channels=True)
    config = DynamicConfig(
        backbone=backbone, num_classes=5, granularity=granularity, router=router, gate=gate
    )

    with pytest.raises(ValueError, match=message):
        DynamicNetwork(config)
