"""Weights as people have them start a dynamic network that answers as their network does."""

import logging

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close
from torchvision import models

import dyncore
from dyncore import ModelFileError, create_model, load_static
from dyncore.weights import _load


def answers(network: nn.Module, seed: int = 0) -> torch.Tensor:
    """Of two images."""
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        if isinstance(network, dyncore.DynamicNetwork):
            path = dyncore.ExecutionPath.always_on(images, network.paths_per_block)
            return network.eval()(images, path=path).logits
        return network.eval()(images)


def trained_like(network: nn.Module) -> nn.Module:
    """With statistics of norms that are not those of a fresh network."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return network


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    return trained_like(models.resnet18(num_classes=7))


@pytest.fixture
def fetched(monkeypatch) -> list[nn.Module]:
    """The networks that a library was asked for: of random weights, in place of what it fetches."""
    built, networks = _load.build_library, []

    def unfetched(library, *, pretrained):
        assert pretrained
        found = built(library, pretrained=False)
        networks.append(trained_like(found.network))
        return found

    monkeypatch.setattr(_load, "build_library", unfetched)
    return networks


PREFIXES = ("", "module.", "model.", "backbone.", "_orig_mod.module.encoder.")
FILES = [
    *((prefix, "weights.safetensors") for prefix in PREFIXES),
    ("module.", "weights.pth"),
    ("encoder.", "checkpoint.pt"),
]


@pytest.mark.parametrize(("prefix", "form"), FILES)
def test_files_with_any_prefix(resnet18, tmp_path, prefix, form):
    weights = {prefix + name: tensor for name, tensor in resnet18.state_dict().items()}
    file = tmp_path / form
    if form.endswith("safetensors"):
        save_file(weights, file)
    else:
        nested = {"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": weights}
        torch.save(nested if form.startswith("checkpoint") else weights, file)
    model = create_model("rdinet-resnet18", num_classes=7, weights=str(file))
    assert_close(answers(model), answers(resnet18))


def test_a_module_its_state_dict_and_a_model_folder(resnet18, tmp_path):
    first = create_model("vanilla-resnet18", num_classes=7, weights=resnet18)
    first.save_pretrained(tmp_path)
    for weights in (resnet18.state_dict(), tmp_path, str(tmp_path)):
        model = create_model("lcnet-resnet18", num_classes=7, weights=weights)
        assert_close(answers(model.float()), answers(resnet18), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("vanilla-resnet18", "torchvision:resnet18"),
        ("vanilla-resnet18", "timm:resnet18"),
        ("static-mobilenetv2", "timm:mobilenetv2_100"),
        ("static-mobilenetv2", "torchvision:mobilenet_v2"),
    ],
)
def test_libraries_by_name(name, source, fetched):
    """Also where the library has other names for the same layers."""
    model = create_model(name, weights=source)
    (network,) = fetched
    assert_close(answers(model), answers(network), rtol=1e-3, atol=1e-4)


def test_another_head_stays_fresh_and_is_told(resnet18, caplog):
    with caplog.at_level(logging.WARNING, "dyncore"):
        model = create_model("vanilla-resnet18", num_classes=3, weights=resnet18)
    assert "fc.weight and fc.bias are fresh" in caplog.text
    assert torch.equal(model.backbone.layer4[1].conv2.weight, resnet18.layer4[1].conv2.weight)


def test_weights_without_a_head_leave_it_fresh(resnet18):
    weights = {n: t for n, t in resnet18.state_dict().items() if not n.startswith("fc.")}
    model = create_model("vanilla-resnet18", num_classes=7, weights=weights)
    assert torch.equal(model.backbone.conv1.weight, resnet18.conv1.weight)


def test_grey_images_get_the_sum_of_the_first_weights(resnet18):
    model = create_model("vanilla-resnet18", num_classes=7, in_chans=1, weights=resnet18)
    assert_close(model.backbone.conv1.weight, resnet18.conv1.weight.sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("vanilla-resnet18", lambda: models.resnet34(num_classes=7), "layer1.2.bn1.bias is not in"),
        (
            "vanilla-resnet34",
            lambda: models.resnet18(num_classes=7),
            "layer1.2.bn1.bias is missing",
        ),
        ("vanilla-resnet18-cifar", lambda: models.resnet18(), r"conv1.weight has shape \(64, 3, 7"),
        (
            "vanilla-resnet18",
            lambda: {"a": torch.ones(1), "b": torch.ones(1)},
            "conv1.weight is miss",
        ),
    ],
)
def test_weights_of_another_network_are_refused(name, source, said):
    with pytest.raises(ModelFileError, match=said):
        create_model(name, weights=source())


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        create_model("vanilla-resnet18", weights=str(tmp_path / "none.pth"))
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="cannot be read"):
        create_model("vanilla-resnet18", weights=str(tmp_path / "broken.pth"))
    torch.save({"state": 1}, tmp_path / "empty.pth")
    with pytest.raises(ModelFileError, match="holds no weights by name: it has"):
        create_model("vanilla-resnet18", weights=str(tmp_path / "empty.pth"))
    torch.save({"model": nn.Linear(2, 2)}, tmp_path / "pickled.pth")
    with pytest.raises(ModelFileError, match=r"would run its code: save model\.state_dict"):
        create_model("vanilla-resnet18", weights=str(tmp_path / "pickled.pth"))
    with pytest.raises(ValueError, match="timm:nothing cannot be built"):
        create_model("vanilla-resnet18", weights="timm:nothing")


@pytest.mark.parametrize(
    "name", ["dmnn-mobilenetv2-n2", "cdb-resnet20-cifar-n2", "dmnn-resnet20-cifar-n4"]
)
def test_split_blocks_add_up_to_the_static_network(name):
    static = trained_like(create_model("static-" + name.split("-", 1)[1].rpartition("-n")[0]))
    model = load_static(create_model(name), static)
    assert_close(answers(model), answers(static), rtol=1e-3, atol=1e-3)


def test_split_bottlenecks_begin_near_the_static_network():
    static = trained_like(create_model("static-resnet50-cifar2", num_classes=10))
    split = load_static(create_model("dmnn-resnet50-cifar2-n2", num_classes=10), static)
    torch.manual_seed(3)
    fresh = create_model("dmnn-resnet50-cifar2-n2", num_classes=10)
    maps = [
        torch.cat(
            [
                n.eval()(
                    torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(5)),
                    path=None
                    if not n.gates
                    else dyncore.ExecutionPath.always_on(torch.zeros(4), n.paths_per_block),
                ).features.flatten()[None]
            ]
        )
        for n in (static, split, fresh)
    ]
    near, far = (torch.corrcoef(torch.cat([maps[0], other]))[0, 1] for other in maps[1:])
    assert near > far + 0.2


def test_load_state_dict_says_what_to_call_instead(resnet18):
    model = create_model("rdinet-resnet18", num_classes=7)
    with pytest.raises(RuntimeError, match=r"call dyncore.load_static\(model, weights\)"):
        model.load_state_dict(resnet18.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({"other": torch.ones(1)})
