"""Saving and loading models."""

import copy
import json
import logging
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune

import dyncore
from dyncore.backbones import MobileNetV2Config
from dyncore.gating import FrozenGate
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo, load_weights


def test_every_kind_comes_back_bit_equal(network, images, tmp_path):
    model = copy.deepcopy(network).float()
    model.save_pretrained(tmp_path)

    loaded = dyncore.from_pretrained(tmp_path)

    assert not loaded.training
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    with torch.no_grad():
        before, after = model(images.float()), loaded(images.float())
    assert torch.equal(after.logits, before.logits)
    assert torch.equal(after.path.on, before.path.on)


def test_the_class_loads_as_the_function_does(saved, model):
    class Mine(DynamicNetwork):
        """A network with methods of its own."""

    for loaded, kind in (
        (DynamicNetwork.from_pretrained(saved), DynamicNetwork),
        (Mine.from_pretrained(saved), Mine),
    ):
        assert type(loaded) is kind
        assert loaded.info == model.info
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name
    other = Mine.from_pretrained(saved, num_classes=3)
    assert type(other) is Mine
    assert other.backbone.fc.out_features == 3
    Mine.from_pretrained(saved).save_pretrained(saved)
    assert type(dyncore.from_pretrained(saved)) is DynamicNetwork


def test_the_info_comes_back(saved, model):
    assert dyncore.from_pretrained(saved).info == model.info
    assert dyncore.from_pretrained(str(saved)).info == model.info


def test_a_model_saved_while_it_trains_comes_back_in_evaluation(model, tmp_path):
    training = copy.deepcopy(model).train()
    training.save_pretrained(tmp_path)

    assert training.training
    assert not dyncore.from_pretrained(tmp_path).training


def test_config_json_says_what_it_is(saved, model):
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))

    assert config["format"] == 1
    assert config["requires"] == {"dyncore": dyncore.__version__}
    assert config["info"] == {
        "method": "vanilla",
        "model": "vanilla-resnet20-cifar",
        "classes": ["ant", "bee", "cow", "dog", "elk"],
        "preprocessing": {
            "mean": [0.1, 0.2, 1 / 3],
            "std": [0.4, 0.5, 0.6],
            "size": 13,
            "resize": None,
        },
        "dataset": None,
        "training_images": None,
        "metrics": {"accuracy": 0.1 + 0.2, "macs_ratio": 1},
        "recipe": None,
        "dial": None,
    }
    assert config["network"]["num_classes"] == 5
    assert config["network"]["router"]["name"] == "short-range"
    assert config["network"]["gate"] == {
        "name": "gumbel-softmax",
        "temperature": 0.7,
        "initial_weights": "torch",
        "initial_biases": None,
        "told": False,
    }
    assert config["network"]["backbone"]["depths"] == [1, 2]
    assert load_file(saved / "model.safetensors").keys() == model.state_dict().keys()


def test_an_outside_part_is_saved_with_its_package(install, tmp_path):
    source = (
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from dyncore.gating import IdentityRouter, RouterConfig\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class EchoConfig(RouterConfig):\n"
        "    name: ClassVar[str] = 'echo'\n"
        "    def build(self, in_channels, index):\n"
        "        return IdentityRouter(in_channels)\n"
    )
    install("dyn-echo", {"routers": {"echo": "dyn_echo_parts:EchoConfig"}}, source)
    model = dyncore.create_model("vanilla-resnet20-cifar", router={"name": "echo"})
    model.save_pretrained(tmp_path / "model")

    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["requires"] == {"dyn-echo": "1.5", "dyncore": dyncore.__version__}
    assert dyncore.from_pretrained(tmp_path / "model").config == model.config


def test_a_new_number_of_classes_replaces_the_head_and_says_so(saved, model, caplog):
    with caplog.at_level(logging.WARNING, logger="dyncore"):
        loaded = dyncore.from_pretrained(saved, num_classes=3)

    [record] = caplog.records
    assert record.getMessage() == (
        f"{saved}: replaced the head for 5 classes by a fresh one for 3; train it before use"
    )
    assert loaded.config == replace(model.config, num_classes=3)
    assert not loaded.training
    assert loaded.info == replace(model.info, classes=None, metrics={})
    weights = loaded.state_dict()
    assert weights.pop("backbone.fc.weight").shape == (3, 8)
    assert weights.pop("backbone.fc.bias").shape == (3,)
    assert weights.keys() | {"backbone.fc.weight", "backbone.fc.bias"} == model.state_dict().keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_the_same_number_of_classes_changes_nothing(saved, model, caplog):
    loaded = dyncore.from_pretrained(saved, num_classes=5)

    assert caplog.records == []
    assert torch.equal(loaded.backbone.fc.weight, model.backbone.fc.weight)
    assert loaded.info == model.info


def test_the_head_of_any_backbone_can_be_replaced(tmp_path):
    config = DynamicConfig(backbone=MobileNetV2Config(width=0.1), num_classes=5)
    DynamicNetwork(config).save_pretrained(tmp_path)

    loaded = dyncore.from_pretrained(tmp_path, num_classes=2)
    assert loaded(torch.zeros(1, 3, 32, 32)).logits.shape == (1, 2)


def test_a_bad_number_of_classes_is_refused(saved):
    with pytest.raises(ValueError, match="num_classes must be at least 1, not 0"):
        dyncore.from_pretrained(saved, num_classes=0)


def test_saving_again_replaces_the_model(saved, networks):
    other = copy.deepcopy(networks["n2-basic"]).float()
    other.save_pretrained(saved)

    loaded = dyncore.from_pretrained(saved)
    assert loaded.config == other.config
    assert loaded.info == ModelInfo()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_model_comes_back_in_the_type_it_was_saved_in(model, tmp_path, dtype):
    saved = copy.deepcopy(model).to(dtype)
    saved.save_pretrained(tmp_path)

    loaded = dyncore.from_pretrained(tmp_path)
    for name, tensor in saved.state_dict().items():
        assert loaded.state_dict()[name].dtype == tensor.dtype
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert dyncore.from_pretrained(tmp_path, num_classes=3).backbone.fc.weight.dtype == dtype


def test_initial_weights_of_another_type_are_refused(model):
    weights = {name: t.double() for name, t in model.state_dict().items() if t.is_floating_point()}
    with pytest.raises(dyncore.ModelFileError, match=r"has type torch.float64, expected torch.fl"):
        load_weights(copy.deepcopy(model), model.state_dict() | weights, "start")


def replaced_head(model):
    model.backbone.fc = nn.Linear(8, 3)


def head_without_bias(model):
    model.backbone.fc = nn.Linear(8, 5, bias=False)


def head_of_two_layers(model):
    model.backbone.fc = nn.Sequential(nn.Dropout(), nn.Linear(8, 5))


def pruned(model):
    prune.l1_unstructured(model.backbone.fc, "weight", amount=0.5)


def head_in_half_precision(model):
    model.backbone.fc.half()


def frozen_gate(model):
    model.gates["0"] = FrozenGate((True,))


def another_configuration(model):
    model.config = replace(model.config, backbone=MobileNetV2Config())


def classes_of_another_head(model):
    model.info = replace(model.info, classes=("ant", "bee"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            replaced_head,
            r"fc\.bias has shape \(3,\), expected \(5,\); backbone\.fc\.weight has shape",
        ),
        (head_without_bias, r"model: backbone\.fc\.bias is missing\. "),
        (
            head_of_two_layers,
            r"model: backbone\.fc\.1\.bias is not in the model; backbone\.fc\.1\.w",
        ),
        (
            pruned,
            r"model: backbone\.fc\.weight is missing; backbone\.fc\.weight_mask is not in the",
        ),
        (
            head_in_half_precision,
            r"are of several types \(torch\.float16, torch\.float32\): convert",
        ),
        (frozen_gate, r"model: gates\.0\.head\.bias is missing; gates\.0\.head\.weight is missing"),
        (another_configuration, r"config\.json describes more than the \d+ tensors"),
        (classes_of_another_head, r"info\.classes has 2 names, network\.num_classes is 5"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(saved, model, tmp_path, change, message):
    """It is refused while the weights are still there, and what was saved before stays."""
    changed = copy.deepcopy(model)
    change(changed)
    for folder in (saved, tmp_path / "new"):
        with pytest.raises(ValueError, match=message) as error:
            changed.save_pretrained(folder)
        assert str(error.value).startswith("nothing is saved, since from_pretrained could not load")
        assert "from_pretrained(..., num_classes=N)" in str(error.value)
    assert not (tmp_path / "new").exists()
    assert torch.equal(dyncore.from_pretrained(saved).backbone.fc.weight, model.backbone.fc.weight)
