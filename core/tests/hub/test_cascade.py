"""Cascades to the Hub and back: their members' files are fetched and checked like any other."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from huggingface_hub import ModelCard
from pushed_model import NAME, assert_same

import dyncore
from dyncore import ModelFileError
from dyncore.cascade import Cascade
from dyncore.data import Preprocessing

FILES = {
    "cascade.json",
    "README.md",
    "evaluation.json",
    *(f"members/{i}/{name}" for i in range(2) for name in ("config.json", "model.safetensors")),
}


@pytest.fixture(scope="module")
def cascade(model):
    members = []
    for seed in range(2):
        member = copy.deepcopy(model).float()
        preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3, size=16)
        member.info = replace(member.info, preprocessing=preprocessing)
        torch.manual_seed(seed)
        torch.nn.init.normal_(member.backbone.fc.weight)
        members.append(member)
    found = Cascade(members)
    found.info = replace(found.info, dataset="cifar10", metrics={"accuracy": 0.25})
    found.thresholds = (0.6,)
    return found


def test_a_cascade_comes_back_from_the_hub(hub, cascade, monkeypatch):
    cascade.push_to_hub(NAME)
    files = hub.files(NAME)
    assert files.keys() == FILES
    assert json.loads(files["evaluation.json"])["metrics"] == {"accuracy": 0.25}
    card = ModelCard(files["README.md"].decode())
    assert card.data.tags == ["dynamic-inference", "cascade"]
    assert {r.metric_type: r.metric_value for r in card.data.eval_results} == {"accuracy": 0.25}
    assert f'dyncore.from_pretrained("{NAME}")' in card.text
    for offline in (False, True):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        loaded = dyncore.from_pretrained(NAME)
        images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        assert torch.equal(loaded(images).logits, cascade(images).logits)
        assert loaded.policy == cascade.policy
        assert loaded.info.metrics == {"accuracy": 0.25}


@pytest.mark.parametrize("file", ["members/1/model.safetensors", "members/0/config.json"])
def test_a_members_copy_that_was_changed_is_refused(hub, cascade, file, tmp_path):
    cascade.push_to_hub(NAME)
    dyncore.from_pretrained(NAME)
    (copied,) = (tmp_path / "cache").glob(f"*/snapshots/*/{file}")
    blob = copied.resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b" ")
    with pytest.raises(ModelFileError, match=f"{file} of '{NAME}' at commit .* is not what it was"):
        dyncore.from_pretrained(NAME)


def test_a_cascade_and_a_network_take_each_others_place(hub, cascade, model):
    cascade.push_to_hub(NAME)
    model.push_to_hub(NAME)
    assert not [name for name in hub.files(NAME) if name.startswith(("cascade", "members"))]
    assert_same(dyncore.from_pretrained(NAME), model)
    cascade.push_to_hub(NAME)
    assert not {"config.json", "model.safetensors"} & hub.files(NAME).keys()
    assert dyncore.from_pretrained(NAME).policy == cascade.policy


def test_other_files_of_the_repository_stay(hub, cascade):
    cascade.push_to_hub(NAME)
    hub.commit(NAME, "main", {"LICENSE": b"free", "samples/config.json": b"{}"})
    cascade.push_to_hub(NAME)
    assert hub.files(NAME).keys() == FILES | {"LICENSE", "samples/config.json"}
