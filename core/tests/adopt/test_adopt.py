"""What becomes dynamic, what does not, and why."""

import copy
import json
import pickle

import pytest
import timm
import torch
from torch import nn
from torchvision import models

import dyncore
from dyncore.adopt import AdoptError
from dyncore.gating import ExecutionPath

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return models.resnet18(num_classes=3).eval()


def all_on(model, images=2):
    on = torch.ones(images, sum(model.paths_per_block), dtype=torch.bool)
    return ExecutionPath.of(on, model.paths_per_block)


def test_the_original_stays_as_it_is_and_its_weights_keep_their_names(resnet):
    before = copy.deepcopy(resnet.state_dict())
    model = dyncore.make_dynamic(resnet, example_input=IMAGES)
    prefix = "backbone.original."
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in model.state_dict().items()
        if name.startswith(prefix)
    }
    assert list(weights) == list(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights.items())
    with torch.no_grad():
        model.backbone.original.conv1.weight.zero_()
    assert torch.equal(resnet.conv1.weight, before["conv1.weight"])


def test_a_saved_model_says_where_it_comes_from(resnet, tmp_path):
    dyncore.make_dynamic(resnet, example_input=IMAGES).save_pretrained(tmp_path)
    backbone = json.loads((tmp_path / "config.json").read_text())["network"]["backbone"]
    assert backbone["name"] == "adopted"
    assert (backbone["package"], backbone["model"]) == ("torchvision", "resnet18")


def test_the_list_is_a_table(resnet):
    listed = str(dyncore.make_dynamic(resnet, example_input=IMAGES).backbone.adopted)
    assert listed.startswith("torchvision:resnet18: 8 of 8 blocks are dynamic")
    assert "layer1.0  conv1 → bn1 → relu → conv2 → bn2  (dynamic)" in listed


def test_copies_and_pickles_answer_alike(resnet):
    model = dyncore.make_dynamic(resnet, example_input=IMAGES).eval()
    expected = model(IMAGES).logits
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(IMAGES).logits, expected)
        nn.init.zeros_(other.backbone.original.fc.weight)
        nn.init.zeros_(other.backbone.original.fc.bias)
        assert not other(IMAGES).logits.any()
    assert torch.equal(model(IMAGES).logits, expected)


def test_a_replaced_module_is_called(resnet):
    model = dyncore.make_dynamic(resnet, example_input=IMAGES).eval()
    model.backbone.original.layer2[1].bn2 = nn.Identity()
    resnet = copy.deepcopy(resnet)
    resnet.layer2[1].bn2 = nn.Identity()
    assert torch.equal(model(IMAGES, path=all_on(model)).logits, resnet(IMAGES))


def test_channels_are_gated_where_a_branch_is_a_chain(resnet):
    model = dyncore.make_dynamic(resnet, "lcnet", example_input=IMAGES)
    assert model.channels_per_block == (64, 64, 128, 128, 256, 256, 512, 512)
    grouped = dyncore.make_dynamic(
        models.resnext50_32x4d(num_classes=3), "lcnet", example_input=IMAGES
    )
    assert sum(grouped.channels_per_block) == 0
    assert "its channels are not gated: its first two convolutions are grouped" in str(
        grouped.backbone.adopted
    )


def test_an_engine_runs_convolutions_and_tokens(resnet):
    for static, size in ((resnet, 32), (timm.create_model("vit_tiny_patch16_224"), 224)):
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
        model = dyncore.make_dynamic(static.eval(), example_input=images).eval()
        engine = dyncore.Engine(model, images, threads=1, precision="fp32")
        on = torch.rand(2, sum(model.paths_per_block)) < 0.5
        for site in model.sites:
            on[:, site.columns] |= not site.gated
        path = ExecutionPath.of(on, model.paths_per_block)
        expected = model(images, path=path).logits
        torch.testing.assert_close(engine(images, path=path).logits, expected, rtol=0, atol=1e-4)
        assert engine(images).logits.shape == expected.shape


class Own(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


@pytest.mark.parametrize(
    ("build", "method", "error", "message"),
    [
        (Own, "rdinet", AdoptError, "no class of timm or torchvision"),
        (lambda: models.squeezenet1_1(num_classes=3), "rdinet", AdoptError, "added to a shortcut"),
        (lambda: models.resnet18(), "static", ValueError, "static decides nothing"),
        (lambda: models.resnet18(), "nothing", ValueError, "unknown method 'nothing'"),
    ],
)
def test_refusals(build, method, error, message):
    images = torch.randn(1, 3, 32, 32)
    with pytest.raises(error, match=message):
        dyncore.make_dynamic(build(), method, example_input=images)


def test_a_network_that_no_name_builds_is_refused():
    changed = models.resnet18(num_classes=3)
    changed.layer1[0].relu = nn.SiLU()
    with pytest.raises(AdoptError, match=r"builds no ResNet .* by a name alone"):
        dyncore.make_dynamic(changed, example_input=IMAGES)
