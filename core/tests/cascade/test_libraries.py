"""Networks of timm and torchvision as members: random weights, small images."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from dyncore.cascade import Cascade, Member, library_member
from dyncore.data import Preprocessing

PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=64)

TORCHVISION = {
    "resnet18": {},
    "resnext50_32x4d": {},
    "wide_resnet50_2": {},
    "regnet_y_400mf": {},
    "convnext_tiny": {},
    "mobilenet_v2": {},
    "mobilenet_v3_small": {},
    "efficientnet_b0": {},
    "vit_b_16": {"image_size": 64},
    "swin_t": {},
}
TIMM = {
    "resnet10t": {},
    "resnext26ts": {},
    "wide_resnet50_2": {},
    "regnetx_002": {},
    "convnext_atto": {},
    "mobilenetv2_050": {},
    "mobilenetv3_small_050": {},
    "efficientnet_b0": {},
    "vit_tiny_patch16_224": {"img_size": 64},
    "deit_tiny_patch16_224": {"img_size": 64},
    "swin_tiny_patch4_window7_224": {"img_size": 64},
}


def network(package: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if package == "timm":
        return timm.create_model(name, num_classes=5, **TIMM[name]).eval()
    return torchvision.models.get_model(name, num_classes=5, **TORCHVISION[name]).eval()


FAMILIES = [("timm", name) for name in TIMM] + [("torchvision", name) for name in TORCHVISION]


@pytest.fixture(scope="module")
def small():
    return Member.of(network("timm", "resnet10t"), preprocessing=PREPROCESSING)


@pytest.mark.parametrize(("package", "name"), FAMILIES)
def test_every_family_answers_for_the_images_that_reach_it(package, name, small):
    large = network(package, name)
    member = Member.of(large, name=name, preprocessing=PREPROCESSING)
    cascade = Cascade([small, member], answer="last")
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    images[1] *= 0.2
    confidence = cascade.logits(0, images)[0].softmax(1).amax(1)
    cascade.thresholds = (float(confidence.median()),)
    output = cascade(images)
    (row,) = output.member.nonzero()[:, 0].tolist()
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (PREPROCESSING.mean, PREPROCESSING.std)
    )
    with torch.no_grad():
        expected = large((images[row : row + 1] - mean) / std).log_softmax(1)
    torch.testing.assert_close(output.logits[row : row + 1], expected, atol=1e-4, rtol=1e-4)
    assert output.macs[row] == small.cost + member.cost


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "mobilenet_v3_small", "vit_b_16"])
def test_macs_are_those_that_torchvision_prints(name):
    """Of the network for ImageNet; torchvision's ``_ops`` are 10⁹ MACs."""
    member = library_member("torchvision", name, pretrained=False)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    assert member.cost / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.01)
    assert member.num_classes == 1000
    wanted = weights.transforms()
    assert member.preprocessing.size == wanted.crop_size[0]
    assert member.preprocessing.resize == wanted.resize_size[0]
    assert member.preprocessing.mean == tuple(wanted.mean)


def test_timms_own_preprocessing_comes_along():
    member = library_member("timm", "resnet10t", pretrained=False, num_classes=7)
    assert member.num_classes == 7
    wanted = timm.data.resolve_model_data_config(member.run)
    assert member.preprocessing.size == wanted["input_size"][1]
    assert member.preprocessing.std == wanted["std"]
    assert member.preprocessing.resize == int(wanted["input_size"][1] / wanted["crop_pct"])


@pytest.mark.parametrize(
    ("package", "name", "message"),
    [
        ("timm", "hf-hub:someone/model", "no network's name"),
        ("timm", "../x", "no network's name"),
        ("keras", "resnet50", "no network's name"),
        ("timm", "resnet_of_nobody", "timm:resnet_of_nobody cannot be built"),
        ("torchvision", "resnet_of_nobody", "torchvision:resnet_of_nobody cannot be built"),
    ],
)
def test_names_that_are_none_are_refused(package, name, message):
    with pytest.raises(ValueError, match=message):
        library_member(package, name, pretrained=False)
