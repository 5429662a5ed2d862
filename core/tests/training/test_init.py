"""Starting from the weights of a static model."""

from dataclasses import replace

import pytest
import torch

from dyncore.network import DynamicNetwork, Subnet
from dyncore.objectives import NestedConfig
from dyncore.training import RunOptions
from dyncore.training._trainer import Trainer


@pytest.fixture
def static_model(static, tmp_path):
    model = DynamicNetwork(static().network)
    for buffer in model.buffers():
        if buffer.dtype.is_floating_point:
            buffer.uniform_(0.5, 1.5)  # statistics of a trained network
    model.save_pretrained(tmp_path / "static")
    return model


def test_backbone_is_the_static_models(static_model, vanilla, tmp_path):
    plain = Trainer(vanilla(), RunOptions(output=str(tmp_path)))
    started = Trainer(vanilla(), RunOptions(output=str(tmp_path), init=str(tmp_path / "static")))
    expected = static_model.backbone.state_dict()
    found = started.model.backbone.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    for part in ("routers", "gates"):
        ours, theirs = (getattr(t.model, part).state_dict() for t in (started, plain))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_network_inside_starts_as_the_static_models_blocks(static_model, static, tmp_path):
    network = replace(static().network, nested=(Subnet(blocks=(0,)),))
    recipe = static(network=network, objective={"nested": NestedConfig()})
    options = RunOptions(output=str(tmp_path), init=str(tmp_path / "static"))
    model = Trainer(recipe, options).model
    small, loaded = model.at(0).backbone, static_model.backbone
    assert small.layer1[0].conv1 is model.backbone.layer1[0].conv1
    assert torch.equal(small.layer1[0].bn1.running_var, loaded.layer1[0].bn1.running_var)
    assert torch.equal(model.backbone.layer2[0].conv1.weight, loaded.layer2[0].conv1.weight)


def test_other_shapes_name_the_tensor(static_model, vanilla, tmp_path):
    recipe = vanilla()
    wider = replace(recipe.network.backbone, widths=(4, 16))
    DynamicNetwork(replace(recipe.network, backbone=wider)).save_pretrained(tmp_path / "wider")
    message = (
        r"fc.weight has shape \(10, 16\), expected \(10, 8\); layer2.0.bn1.bias has shape \(16"
    )
    with pytest.raises(ValueError, match=message):
        Trainer(recipe, RunOptions(output=str(tmp_path / "runs"), init=str(tmp_path / "wider")))
    assert not (tmp_path / "runs").exists()


def test_a_last_layer_for_other_classes_stays_fresh(static_model, vanilla, tmp_path, caplog):
    recipe = vanilla()
    seven = DynamicNetwork(replace(recipe.network, num_classes=7))
    seven.save_pretrained(tmp_path / "seven")
    options = RunOptions(output=str(tmp_path), init=str(tmp_path / "seven"))
    started = Trainer(recipe, options).model
    plain = Trainer(recipe, replace(options, init=None)).model
    assert "fc.weight and fc.bias are fresh" in caplog.text
    assert torch.equal(started.backbone.conv1.weight, seven.backbone.conv1.weight)
    assert torch.equal(started.backbone.fc.weight, plain.backbone.fc.weight)


def test_a_missing_folder_is_named(vanilla, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nothing"):
        Trainer(vanilla(), RunOptions(output=str(tmp_path), init=str(tmp_path / "nothing")))


def test_a_recipe_that_starts_from_a_model_says_so_before_anything_is_written(vanilla, tmp_path):
    recipe = replace(vanilla(), start="static-resnet20-cifar")
    message = r"starts from a trained model: give it with --init FOLDER, .*'static-resnet20-cifar'"
    with pytest.raises(ValueError, match=message):
        Trainer(recipe, RunOptions(output=str(tmp_path / "runs"), data="no such data"))
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_starts_from_a_model_trains_with_one(static_model, vanilla, tmp_path):
    recipe = replace(vanilla(), start="static-resnet20-cifar")
    init = str(tmp_path / "static")
    started = Trainer(recipe, RunOptions(output=str(tmp_path), init=init))
    found = started.model.backbone.state_dict()
    assert torch.equal(found["fc.weight"], static_model.backbone.state_dict()["fc.weight"])
