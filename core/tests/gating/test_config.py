import json

from dyncore.backbones import ResNetConfig
from dyncore.blocks import Granularity
from dyncore.gating import ContextRouterConfig, StraightThroughGateConfig, config_to_dict
from dyncore.network import DynamicConfig


def test_config_to_dict_names_parts_and_gives_json_types():
    config = DynamicConfig(
        backbone=ResNetConfig(block="basic", depths=(1, 1), widths=(4, 8), stem="cifar"),
        num_classes=3,
        granularity=Granularity(paths=2),
        router=ContextRouterConfig(dim=6),
        gate=StraightThroughGateConfig(noise="gaussian"),
    )

    as_dict = config_to_dict(config)

    assert as_dict == {
        "backbone": {
            "name": "resnet",
            "in_channels": 3,
            "block": "basic",
            "depths": [1, 1],
            "widths": [4, 8],
            "stem": "cifar",
            "shortcut": "projection",
        },
        "num_classes": 3,
        "granularity": {"paths": 2, "channels": False},
        "router": {
            "name": "context",
            "dim": 6,
            "previous": True,
            "norm": False,
            "initial_weights": "torch",
            "bias_before_norm": False,
        },
        "gate": {
            "name": "straight-through",
            "temperature": 1.0,
            "initial_weights": "torch",
            "initial_biases": None,
            "told": False,
            "noise": "gaussian",
        },
        "combine": "additive",
        "nested": [],
        "frozen": [],
    }
    assert json.loads(json.dumps(as_dict)) == as_dict


def test_config_to_dict_reaches_into_containers():
    part = ContextRouterConfig(dim=6)

    assert config_to_dict({"parts": (part, None), "rate": 0.5}) == {
        "parts": [
            {
                "name": "context",
                "dim": 6,
                "previous": True,
                "norm": False,
                "initial_weights": "torch",
                "bias_before_norm": False,
            },
            None,
        ],
        "rate": 0.5,
    }
