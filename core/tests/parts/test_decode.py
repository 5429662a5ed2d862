"""Configurations come back from JSON as they were, and nothing else passes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.backbones import MobileNetV2Config, ResNetConfig
from dyncore.blocks import Granularity
from dyncore.gating import (
    ContextRouterConfig,
    GumbelSoftmaxGateConfig,
    IdentityRouterConfig,
    ReLU1GateConfig,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
    config_to_dict,
)
from dyncore.network import DynamicConfig, ModelInfo
from dyncore.parts import decode, part_config
from dyncore.registry import model_config

positive = st.integers(1, 2**40)
temperatures = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
backbones = st.one_of(
    st.integers(1, 4).flatmap(
        lambda stages: st.builds(
            ResNetConfig,
            block=st.sampled_from(["basic", "bottleneck"]),
            depths=st.tuples(*[positive] * stages),
            widths=st.tuples(*[positive] * stages),
            stem=st.sampled_from(["imagenet", "cifar", "cifar2"]),
            shortcut=st.sampled_from(["pad", "projection"]),
        )
    ),
    st.builds(
        MobileNetV2Config,
        width=st.floats(0, 100, exclude_min=True, exclude_max=True),
        dropout=st.floats(0, 1, exclude_max=True),
    ),
)
routers = st.one_of(
    st.just(IdentityRouterConfig()),
    st.builds(ShortRangeRouterConfig, dim=positive),
    st.builds(ContextRouterConfig, dim=positive, previous=st.booleans()),
)
gates = st.one_of(
    st.builds(GumbelSoftmaxGateConfig, temperature=temperatures),
    st.builds(
        StraightThroughGateConfig,
        temperature=temperatures,
        noise=st.sampled_from(["gumbel", "gaussian", "none"]),
    ),
    st.builds(ReLU1GateConfig, leak=st.floats(0, 1, exclude_max=True), channel_group=positive),
)
forms = st.one_of(
    st.builds(dict, combine=st.just("blend")),
    st.builds(dict, granularity=st.builds(Granularity, paths=positive)),
    st.just({"granularity": Granularity(channels=True)}),
)
static = st.builds(DynamicConfig, backbone=backbones, num_classes=positive)
dynamic = st.builds(
    lambda form, **parts: DynamicConfig(**form, **parts),
    forms,
    backbone=backbones,
    num_classes=positive,
    router=routers,
    gate=gates,
)


# The checker of shapes and types looks at random elements of what hypothesis builds.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
@given(static | dynamic)
def test_round_trip(config):
    text = json.dumps(config_to_dict(config), allow_nan=False)

    assert decode(DynamicConfig, json.loads(text), "network") == config


GOOD = config_to_dict(model_config("vanilla-resnet20-cifar"))
BACKBONE = GOOD["backbone"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": True}, "network: expected int, not True @ DynamicConfig.num_classes"),
        ({"num_classes": "3"}, "network: expected int, not '3' @ DynamicConfig.num_classes"),
        ({"num_classes": 3.0}, "network: expected int, not 3.0 @ DynamicConfig.num_classes"),
        ({"num_classes": None}, "network: expected int, not None @ DynamicConfig.num_classes"),
        ({"num_classes": 0}, "network: num_classes must be at least 1, not 0 @ DynamicConfig"),
        ({"combine": "mix"}, "expected one of 'additive', 'blend', not 'mix' @ DynamicConfig.comb"),
        ({"combine": ["blend"]}, "expected one of 'additive', 'blend', not ['blend']"),
        ({"granularity": {"paths": 1, "channels": 0}}, "expected bool, not 0 @ DynamicConfig.gran"),
        ({"granularity": {"ways": 1}}, "no field 'ways'; the fields are paths, channels @ Dynamic"),
        ({"granularity": None}, "expected an object with the fields of Granularity, not None @"),
        ({"granularity": [1]}, "expected an object with the fields of Granularity, not [1] @"),
        ({"colour": 1, "age": 2}, "no field 'age', 'colour'; the fields are backbone, num_classe"),
        ({"router": None}, "network: router and gate go together"),
        ({"router": "short-range"}, "router must be an object with a 'name', not 'short-range'"),
        ({"router": {"dim": 3}}, "router must be an object with a 'name', not {'dim': 3}"),
        ({"router": {"name": 3}}, "router must be an object with a 'name', not {'name': 3}"),
        ({"router": {"name": "short-range", "dim": 0}}, "router 'short-range': dim must be at le"),
        ({"gate": {"name": "gumbel-softmax", "temperature": "1"}}, "expected float, not '1' @"),
        ({"gate": {"name": "gumbel-softmax", "temperature": True}}, "expected float, not True @"),
        ({"gate": {"name": "gumbel-softmax", "temperature": -1}}, "temperature must be positive"),
        ({"backbone": None}, "backbone must be an object with a 'name', not None"),
        ({"backbone": BACKBONE | {"depths": "333"}}, "expected a list, not '333' @ ResNetConfig.d"),
        ({"backbone": BACKBONE | {"depths": [3, 3, 3.0]}}, "not 3.0 @ ResNetConfig.depths[2] @ Dy"),
        ({"backbone": BACKBONE | {"depths": [3, 3]}}, "must name the same stages"),
        ({"backbone": {"name": "resnet"}}, "required field missing @ ResNetConfig.block"),
    ],
)
def test_the_field_at_fault_is_named(change, message):
    with pytest.raises(ValueError, match=r"^network: ") as error:
        decode(DynamicConfig, GOOD | change, "network")
    assert message in str(error.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(ValueError, match=r"num_classes.*; .*combine") as error:
        decode(DynamicConfig, GOOD | {"num_classes": "3", "combine": "mix"}, "network")
    assert len(str(error.value).split("; ")) == 2


@pytest.mark.parametrize("field", ["backbone", "num_classes"])
def test_a_missing_field_is_named(field):
    values = {key: value for key, value in GOOD.items() if key != field}
    with pytest.raises(ValueError, match=f"required field missing @ DynamicConfig.{field}"):
        decode(DynamicConfig, values, "network")


@pytest.mark.parametrize("value", [None, 3, "resnet", [], [GOOD]])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(ValueError, match="info: expected an object with the fields of ModelInfo"):
        decode(ModelInfo, value, "info")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": "cat"}, "info: expected a list, not 'cat' @ ModelInfo.classes"),
        ({"classes": {"cat": 0}}, "info: expected a list, not {'cat': 0} @ ModelInfo.classes"),
        ({"classes": ["cat", 3]}, "info: expected str, not 3 @ ModelInfo.classes[1]"),
        ({"metrics": {"accuracy": "high"}}, "expected float, not 'high' @ ModelInfo.metrics['acc"),
        ({"metrics": [0.5]}, "expected a mapping @ ModelInfo.metrics"),
        (
            {"preprocessing": {"mean": [0.5], "std": [0.5], "size": 8.5}},
            "expected int, not 8.5 @ ModelInfo.preprocessing.size",
        ),
        (
            {"preprocessing": {"mean": [0.5], "std": [0], "size": 8}},
            "preprocessing.std must be positive",
        ),
    ],
)
def test_the_field_at_fault_of_the_info_is_named(values, message):
    with pytest.raises(ValueError, match=r"^info: ") as error:
        decode(ModelInfo, values, "info")
    assert message in str(error.value)


def test_a_whole_number_is_a_float_and_becomes_one():
    gate = part_config("gates", {"name": "gumbel-softmax", "temperature": 2})

    assert gate == GumbelSoftmaxGateConfig(temperature=2.0)
    assert type(gate.temperature) is float


def test_a_part_may_leave_out_what_has_a_default():
    assert part_config("routers", {"name": "context"}) == ContextRouterConfig()
