"""Trained models by name: in the box, on the Hub, or what there is instead."""

import json

import pytest
import torch

import dyncore
from dyncore.hub import HubError
from dyncore.registry import _pretrained


@pytest.fixture
def box(tmp_path, monkeypatch):
    """Two networks of one name, the second in a cascade's folder and better."""
    torch.manual_seed(0)
    for place, accuracy in (("worse", 0.5), ("cascade/members/1", 0.75)):
        model = dyncore.create_model("static-resnet20-cifar")
        model.info = dyncore.ModelInfo(
            model="static-resnet20-cifar", dataset="digits", metrics={"accuracy": accuracy}
        )
        model.save_pretrained(tmp_path / place)
    monkeypatch.setattr(_pretrained, "BOX", tmp_path)
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """What the Hub would say."""
    said = {}

    def models_on_hub(name):
        if isinstance(said.get(name), Exception):
            raise said[name]
        return said.get(name, [])

    monkeypatch.setattr(_pretrained, "models_on_hub", models_on_hub)
    return said


def test_the_best_in_the_box_is_taken(box, hub):
    assert _pretrained.find_pretrained("static-resnet20-cifar") == str(box / "cascade/members/1")
    model = dyncore.create_model("static-resnet20-cifar", pretrained=True)
    assert model.info.metrics == {"accuracy": 0.75}
    assert not model.training
    assert dyncore.create_model("static-resnet20-cifar", pretrained=True, num_classes=3)


def test_else_the_hub_is_asked(box, hub):
    hub["vanilla-resnet20-cifar"] = ["org/liked", "org/other"]
    assert _pretrained.find_pretrained("vanilla-resnet20-cifar") == "org/liked"


@pytest.mark.parametrize("answer", [[], HubError("no connection")])
def test_else_what_there_is_is_listed(box, hub, answer):
    hub["vanilla-resnet20-cifar"] = answer
    said = (
        r"(?s)no pretrained vanilla-resnet20-cifar; .*(none that was|no connection).*accuracy 0\.75"
    )
    with pytest.raises(ValueError, match=said):
        dyncore.create_model("vanilla-resnet20-cifar", pretrained=True)


def test_two_ways_to_start_are_refused(box):
    with pytest.raises(ValueError, match="pretrained models are as they were trained"):
        dyncore.create_model("static-resnet20-cifar", pretrained=True, weights="timm:resnet18")


def test_the_box_of_this_checkout_has_what_its_files_say():
    for found in _pretrained.boxed():
        saved = json.loads((found.folder / "config.json").read_text(encoding="utf-8"))
        assert saved["info"]["model"] == found.model
