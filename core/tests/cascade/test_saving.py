"""A cascade that is saved and comes back, and files that make none."""

import copy
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import dyncore
from dyncore import ModelFileError
from dyncore.cascade import Cascade, Member, library_member
from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork, ModelInfo

PREPROCESSING = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), size=16)
CLASSES = ("ant", "bee", "cow", "dog", "elk")


def ours(network: DynamicNetwork) -> DynamicNetwork:
    described = copy.deepcopy(network).float()
    described.info = ModelInfo(model="ours", classes=CLASSES, preprocessing=PREPROCESSING)
    return described


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(0)
    contrast = torch.rand(60, 1, 1, 1, generator=generator)
    return 0.5 + contrast * (torch.rand(60, 3, 16, 16, generator=generator) - 0.5)


@pytest.fixture(scope="module")
def cascade(networks, pictures):
    """Calibrated on labels that only the last member knows, so that some images reach it."""
    torch.manual_seed(0)
    third = library_member("timm", "resnet10t", pretrained=False, num_classes=5)
    members = [ours(networks["static"]), ours(networks["additive"]), third]
    found = Cascade(members, confidence="margin", cap=0.8, answer="last")
    labels = found.logits(2, pictures)[0].argmax(1)
    found.calibrate([(pictures, labels)], budget=0.9, fit_temperatures=True)
    return found


@pytest.fixture
def saved(cascade, tmp_path):
    cascade.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_cascade_comes_back_to_the_bit(cascade, saved, pictures):
    loaded = dyncore.from_pretrained(saved)
    assert isinstance(loaded, Cascade)
    assert not loaded.training
    assert loaded.policy == cascade.policy
    assert loaded.info == cascade.info
    before, after = cascade(pictures), loaded(pictures)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.macs, after.macs)
    assert torch.equal(before.member, after.member)
    assert len(after.member.unique()) > 1
    loaded.set_budget(0.3)
    assert loaded.monitor().calibrated == loaded.setting.asked


def test_its_members_are_models_themselves(cascade, saved, pictures):
    network = dyncore.from_pretrained(saved / "members" / "1")
    images = PREPROCESSING.normalize(pictures)
    assert torch.equal(network(images).logits, cascade.members[1].run(images).logits)


def test_it_can_be_saved_again(saved):
    loaded = dyncore.from_pretrained(saved)
    loaded.thresholds = (0.5, 0.5)
    loaded.save_pretrained(saved)
    again = dyncore.from_pretrained(saved)
    assert again.thresholds == (0.5, 0.5)
    assert again.setting is None
    assert again.calibration == loaded.calibration


def test_cascade_json_is_strict_json_with_a_format(saved):
    content = json.loads((saved / "cascade.json").read_text(), parse_constant=pytest.fail)
    assert content["format"] == 1
    assert set(content["requires"]) == {"dyncore", "timm"}


def test_a_callable_cannot_be_saved(cascade, tmp_path):
    network = cascade.members[0]
    session = Member(run=lambda images: images, name="x", preprocessing=None, classes=CLASSES)
    for other, name in ((session, "x"), (network.running(lambda images: images), "ours")):
        with pytest.raises(ValueError, match=f"{name} .member 1. cannot be saved.*the network"):
            Cascade([network, other]).save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_heads_are_not_replaced(saved):
    with pytest.raises(ValueError, match="is a cascade"):
        dyncore.from_pretrained(saved, num_classes=3)


def edited(folder, change):
    file = folder / "cascade.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=2), "has format 2, this dyncore reads 1"),
        (lambda c: c.pop("cascade"), "cascade.json: cascade: expected an object"),
        (lambda c: c["cascade"].update(more=1), "no field 'more'"),
        (lambda c: c["cascade"]["policy"].update(confidence="luck"), "expected one of"),
        (lambda c: c["cascade"]["policy"].update(thresholds=[0.5]), "need 2 thresholds, not 1"),
        (lambda c: c["cascade"]["policy"].update(temperatures=[1, 0, 1]), "temperatures above 0"),
        (lambda c: c["cascade"]["policy"].update(cap=7.0), "cap must be in"),
        (lambda c: c["cascade"]["policy"]["setting"].update(asked=[1.0]), "not one of 3 members"),
        (lambda c: c["cascade"]["members"].pop(), "need as many temperatures"),
        (lambda c: c["cascade"]["members"].clear(), "at least two members"),
        (lambda c: c["cascade"].update(members=c["cascade"]["members"] * 9), "27 members, more"),
        (lambda c: c["cascade"]["members"][1].update(weights="0" * 64), "is not what the cascade"),
        (lambda c: c["cascade"]["members"][2]["library"].update(model="resnet14t"), "do not fit"),
        (lambda c: c["cascade"]["members"][2]["library"].update(num_classes=6), "do not fit"),
        (lambda c: c["cascade"]["members"][2]["library"].update(model="hf-hub:a/b"), "no network"),
        (lambda c: c["cascade"].update(classes=list("abcde")), "does not know the classes a"),
    ],
)
def test_a_damaged_description_is_refused(saved, change, message):
    edited(saved, change)
    with pytest.raises(ModelFileError, match=message):
        dyncore.from_pretrained(saved)


@pytest.mark.parametrize("member", [0, 2])
def test_members_that_are_missing_or_changed_are_refused(saved, member):
    file = saved / "members" / str(member) / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 4)
    save_file(tensors | {name: 2 * tensors[name]}, file)
    with pytest.raises(ModelFileError, match="is not what the cascade was saved with"):
        dyncore.from_pretrained(saved)
    save_file(tensors | {name: tensors[name] * float("nan")}, file)
    with pytest.raises(ModelFileError, match="NaN"):
        dyncore.from_pretrained(saved)
    shutil.rmtree(file.parent)
    with pytest.raises((ModelFileError, FileNotFoundError), match=str(member)):
        dyncore.from_pretrained(saved)


def test_text_that_is_no_json_is_refused(saved):
    (saved / "cascade.json").write_text('{"format": 1, "format": 1}')
    with pytest.raises(ModelFileError, match="twice"):
        dyncore.from_pretrained(saved)


def test_a_network_is_not_saved_into_a_cascades_folder(cascade, saved):
    before = (saved / "cascade.json").read_bytes()
    with pytest.raises(FileExistsError, match="holds a cascade"):
        cascade.members[0].run.save_pretrained(saved)
    assert (saved / "cascade.json").read_bytes() == before
    assert not (saved / "config.json").exists()
