"""The core's own methods, and mixtures of its parts, conform."""

import pytest

from dyncore.backbones import BackboneConfig, MobileNetV2Config, ResNetConfig
from dyncore.blocks import Combine, Granularity
from dyncore.gating import (
    ContextRouterConfig,
    GateConfig,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    RouterConfig,
    StraightThroughGateConfig,
)
from dyncore.network import DynamicConfig, Subnet
from dyncore.objectives import (
    CrossEntropyConfig,
    ExecutionRateConfig,
    FlopsRatioConfig,
    NestedConfig,
)
from dyncore.recipes import Phase, find_recipe
from dyncore.testing import CHECKS, Case

BASIC = ResNetConfig(block="basic", depths=(1, 2), widths=(4, 8), stem="cifar", shortcut="pad")
BOTTLENECK = ResNetConfig(block="bottleneck", depths=(1, 2), widths=(4, 8), stem="cifar2")


def mixture(
    name: str,
    backbone: BackboneConfig,
    router: RouterConfig,
    gate: GateConfig,
    *,
    granularity: Granularity | None = None,
    combine: Combine = "additive",
) -> Case:
    return Case(
        name=name,
        network=DynamicConfig(
            backbone=backbone,
            num_classes=5,
            granularity=granularity or Granularity(),
            router=router,
            gate=gate,
            combine=combine,
        ),
        objective={
            "classification": CrossEntropyConfig(label_smoothing=0.1),
            "rate": ExecutionRateConfig(target=0.4),
            "flops": FlopsRatioConfig(target=0.3, weight=2.0),
        },
        phases=(
            Phase(name="warm-up", epochs=1.0, paths="uniform", objective=("classification",)),
            Phase(name="train", epochs=1.0),
        ),
    )


CONTEXT = ContextRouterConfig(dim=6)
N2, N3 = Granularity(paths=2), Granularity(paths=3)
STRAIGHT = StraightThroughGateConfig(noise="gaussian")

CASES = [
    Case.of(find_recipe("nested-resnet20-digits")),
    Case(
        name="exit-and-depth",
        network=DynamicConfig(
            backbone=BASIC,
            num_classes=5,
            nested=(Subnet(blocks=(0,), norms="shared"), Subnet(blocks=(0, 1))),
        ),
        objective={"classification": CrossEntropyConfig(), "nested": NestedConfig()},
    ),
    Case.of(find_recipe("static-resnet20-digits")),
    Case.of(find_recipe("static-resnet50-imagenet")),
    Case.of(find_recipe("vanilla-resnet20-digits-b0.6")),
    Case.of(find_recipe("vanilla-resnet50-imagenet-b0.5")),
    mixture("n3-bottleneck", BOTTLENECK, CONTEXT, STRAIGHT, granularity=N3),
    mixture(
        "blend-with-context",
        BASIC,
        ContextRouterConfig(dim=6, norm=True),  # else some images have no feature but zeros
        GumbelSoftmaxGateConfig(),
        combine="blend",
    ),
    mixture(
        "channels",
        BOTTLENECK,
        IdentityRouterConfig(),
        ReLU1GateConfig(),
        granularity=Granularity(channels=True),
    ),
    mixture(
        "channel-groups",
        BASIC,
        IdentityRouterConfig(),
        ReLU1GateConfig(channel_group=3),
        granularity=Granularity(channels=True),
    ),
    mixture("n2-mobilenetv2", MobileNetV2Config(width=0.1), CONTEXT, STRAIGHT, granularity=N2),
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
