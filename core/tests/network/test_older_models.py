"""Models that were saved before a part had a field mean by its absence what they always meant."""

import json
from dataclasses import fields

import pytest
import torch

from dyncore import create_model, from_pretrained
from dyncore.gating import PartConfig
from dyncore.parts import as_saved, registered

THEN = {
    "vanilla-resnet20-cifar": {
        "router": {"initial_weights": "he", "bias_before_norm": True},
        "gate": {"initial_weights": "he", "initial_biases": [0.0, 0.0]},
    },
    "cdb-resnet20-cifar-n2": {
        "router": {"initial_weights": "he", "bias_before_norm": True, "norm": True},
        "gate": {"initial_weights": "he", "initial_biases": [0.0, 0.0]},
    },
    "lcnet-resnet20-cifar": {"router": {}, "gate": {"initial_bias": 1.0}},
}
"""What each part meant by fields that it did not have; a context router's norm once had another
default."""


@pytest.mark.parametrize("name", THEN)
def test_a_model_without_the_fields_is_the_model_it_was(name, tmp_path):
    torch.manual_seed(0)
    model = create_model(name, router=THEN[name]["router"] or None, gate=THEN[name]["gate"])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.eval().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    for part, then in THEN[name].items():
        for field in then:
            del config["network"][part][field]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")

    loaded = from_pretrained(tmp_path)

    assert loaded.config == model.config
    images = torch.rand(2, 3, 16, 16)
    found, expected = loaded(images), model(images)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.path.on, expected.path.on)
    loaded.save_pretrained(tmp_path / "again")
    again = json.loads((tmp_path / "again" / "config.json").read_text(encoding="utf-8"))
    for part, then in THEN[name].items():
        assert again["network"][part].items() >= then.items()  # from now on, it is said


def test_a_field_that_is_there_is_what_it_says():
    saved = {"router": {"name": "context", "norm": False}, "backbone": {"name": "mobilenetv2"}}
    assert as_saved(saved) == {
        "router": {
            "name": "context",
            "norm": False,
            "initial_weights": "he",
            "bias_before_norm": True,
        },
        "backbone": {"name": "mobilenetv2", "dropout": 0.2},
    }
    assert as_saved({"router": None, "gate": 3}) == {"router": None, "gate": 3}
    assert as_saved("nothing") == "nothing"


def test_only_fields_that_there_are_have_a_meaning_when_absent():
    parts: list[type[PartConfig]] = [
        part for group in ("backbones", "routers", "gates") for part in registered(group).values()
    ]
    for part in parts:
        assert set(part.when_absent) <= {field.name for field in fields(part)}, part.name
