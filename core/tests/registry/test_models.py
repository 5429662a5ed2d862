"""Models by name."""

import pytest
import torch

import dyncore
from dyncore.backbones import BACKBONES, MobileNetV2Config
from dyncore.blocks import Granularity
from dyncore.gating import ContextRouterConfig, GumbelSoftmaxGateConfig, ShortRangeRouterConfig
from dyncore.parts import registered
from dyncore.registry import model_config

pytestmark = pytest.mark.usefixtures("absent")


@pytest.mark.parametrize(
    ("name", "backbone", "paths", "classes"),
    [
        ("static-resnet50", "resnet50", 1, 1000),
        ("static-resnet110-cifar", "resnet110-cifar", 1, 10),
        ("static-resnet20b-cifar", "resnet20b-cifar", 1, 10),
        ("static-resnet50-cifar2", "resnet50-cifar2", 1, 10),
        ("static-mobilenetv2", "mobilenetv2", 1, 1000),
        ("static-mobilenetv2-1.4", "mobilenetv2-1.4", 1, 1000),
        ("vanilla-resnet20-cifar", "resnet20-cifar", 1, 10),
        ("vanilla-resnet20-cifar-n1", "resnet20-cifar", 1, 10),
        ("vanilla-resnet20-cifar-n2", "resnet20-cifar", 2, 10),
        ("vanilla-resnet50-n3", "resnet50", 3, 1000),
        ("vanilla-resnet50-n12", "resnet50", 12, 1000),
        ("vanilla-mobilenetv2-1.4-n4", "mobilenetv2-1.4", 4, 1000),
    ],
)
def test_a_name_is_method_backbone_and_paths(name, backbone, paths, classes):
    config = model_config(name)

    assert config.backbone == BACKBONES[backbone]
    assert config.granularity == Granularity(paths=paths)
    assert config.num_classes == classes
    assert (config.gate is None) == name.startswith("static-")


def test_mobilenet_takes_any_width():
    assert model_config("vanilla-mobilenetv2-0.35-n2").backbone == MobileNetV2Config(width=0.35)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "unknown method ''; installed methods: "),
        ("resnet50", "unknown model 'resnet50': did you mean .*static-resnet50"),
        ("vanila-resnet50", r"unknown model 'vanila-resnet50': did you mean vanilla-resnet50\?"),
        ("absent-resnet18-cifar", "unknown method 'absent'; .* with: pip install dyn-absent"),
        ("static", r"'static' has no backbone; the form is <method>-<backbone>\[-nN\], e\.g\. "),
        ("static-", "'static-' has no backbone"),
        ("static-resnet51", "unknown backbone 'resnet51'; known are resnet18, resnet34, .*v2-1.4"),
        ("static-resnet20-cifar-n0", "unknown backbone 'resnet20-cifar-n0'"),
        ("static-resnet20-cifar-n-2", "unknown backbone 'resnet20-cifar-n-2'"),
        ("vanilla-resnet50-n2-n3", "unknown backbone 'resnet50-n2'"),
        ("static-mobilenetv2-0", "width must be positive"),
        ("static-resnet50-n2", "static models have one path per block, not 2: drop '-n2'"),
    ],
)
def test_a_bad_name_is_explained(name, message):
    with pytest.raises(ValueError, match=message):
        dyncore.create_model(name)


def test_a_method_that_is_not_installed_says_which_package_to_install(monkeypatch):
    monkeypatch.delitem(registered("methods"), "lcnet", raising=False)
    with pytest.raises(ValueError, match="method 'lcnet'; install it with: pip install dyn-lcnet"):
        dyncore.create_model("lcnet-resnet18-cifar")


def test_number_of_classes():
    assert (
        dyncore.create_model("static-resnet20-cifar", num_classes=7).backbone.fc.out_features == 7
    )
    with pytest.raises(ValueError, match="num_classes must be at least 1, not 0"):
        dyncore.create_model("static-resnet20-cifar", num_classes=0)


def test_single_fields_of_parts_can_be_changed():
    config = model_config("vanilla-resnet20-cifar", router={"dim": 8}, gate={"temperature": 2})

    assert config.router == ShortRangeRouterConfig(dim=8)
    assert config.gate == GumbelSoftmaxGateConfig(temperature=2.0)


def test_a_change_keeps_the_fields_that_it_does_not_name():
    names = {"router": {"name": "context", "previous": False}}
    assert model_config("vanilla-resnet20-cifar", **names).router == ContextRouterConfig(
        dim=32, previous=False
    )
    same_part = {"router": {"name": "short-range", "dim": 5}}
    assert model_config("vanilla-resnet20-cifar", **same_part).router == ShortRangeRouterConfig(
        dim=5
    )


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("static-resnet20-cifar", {"gate": {"temperature": 1.0}}, "is static: it has no gate to"),
        ("vanilla-resnet20-cifar", {"gate": {"heat": 1.0}}, "no field 'heat'; the fields are temp"),
        ("vanilla-resnet20-cifar", {"router": {"dim": "8"}}, "expected int, not '8' @ .*dim"),
        ("vanilla-resnet20-cifar", {"router": {"dim": 0}}, "dim must be at least 1, not 0"),
        ("vanilla-resnet20-cifar", {"router": {"name": "x"}}, "unknown router 'x'; installed rout"),
        ("vanilla-resnet20-cifar", {"router": {"name": "identity", "dim": 3}}, "fields are none"),
    ],
)
def test_a_bad_change_is_explained(name, changes, message):
    with pytest.raises(ValueError, match=message):
        dyncore.create_model(name, **changes)


@pytest.mark.parametrize("name", dyncore.list_models())
def test_every_listed_model_builds(name):
    with torch.device("meta"):
        model = dyncore.create_model(name)

    assert model.info.model == name
    assert model.info.method in dyncore.list_methods()
    head = list(model.backbone.modules())[-1]
    assert head.out_features == (10 if "-cifar" in name else 1000)
    gated = [str(index) for index, block in enumerate(model.backbone.blocks) if block.gated]
    assert list(model.gates) == ([] if model.config.gate is None else gated)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("vanilla-resnet50", {"vanilla-resnet50"}),
        ("vanilla-resnet5?", {"vanilla-resnet50"}),
        ("resnet50", set()),  # a pattern of the whole name
        ("VANILLA-*", set()),
        ("*-resnet5*-cifar", {f"static-resnet{name}-cifar" for name in ("50", "56", "56b")}),
        (
            ["static-mobilenetv2", "vanilla-resnet5[0-9]"],
            {"static-mobilenetv2", "vanilla-resnet50"},
        ),
        ([], set()),
    ],
)
def test_a_list_is_filtered_by_patterns(filter, expected):
    found = dyncore.list_models(filter)
    core = {name for name in found if name.startswith(("static-", "vanilla-"))}
    assert core == expected
    assert found == [name for name in dyncore.list_models() if name in found]  # in the same order


def test_a_pattern_finds_what_holds_a_word():
    assert dyncore.list_models("*resnet50*") == [
        name for name in dyncore.list_models() if "resnet50" in name
    ]


def test_lists_are_of_what_is_installed():
    assert {"static", "vanilla"} <= set(dyncore.list_methods())
    models = dyncore.list_models()
    assert {f"static-{backbone}" for backbone in BACKBONES} <= set(models)
    assert len(models) == len(set(models))
    assert {name.partition("-")[0] for name in models} == set(dyncore.list_methods())
