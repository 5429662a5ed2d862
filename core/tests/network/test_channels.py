"""Images of other channels than three: made so, or made of a saved network as timm does."""

import copy
import logging

import pytest
import torch
from timm.models import adapt_input_conv

import dyncore
from dyncore.backbones import ResNetConfig, backbone_config
from dyncore.cost import cost_table


@pytest.mark.situation(
    "`in_chans=1`, 4 or others: weights converted as timm does",
    under="Saved models, as people have them",
)
@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_weights_are_timms(saved, model, channels, caplog):
    caplog.set_level(logging.WARNING, "dyncore")
    other = dyncore.from_pretrained(saved, in_chans=channels)
    expected = model.state_dict()
    conv = "backbone.conv1.weight"
    expected[conv] = adapt_input_conv(channels, expected[conv])
    assert other.state_dict().keys() == expected.keys()
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, msg=name)
    assert other.config.backbone.in_channels == channels
    assert f"for 3 channels into one for {channels}; train it before use" in caplog.text
    assert (other.info.classes, other.info.metrics) == (model.info.classes, {})


@torch.no_grad()
def test_grey_images_give_what_they_gave_as_three_channels(saved, images):
    three, one = (dyncore.from_pretrained(saved, in_chans=n) for n in (3, 1))
    grey = images[:, :1].float()
    expected = three(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one(grey).logits, expected.logits, rtol=1e-4, atol=1e-4)


def test_preprocessing_of_grey_images_is_the_mean_and_of_others_unknown(saved):
    one = dyncore.from_pretrained(saved, in_chans=1).info.preprocessing
    assert one.mean == pytest.approx([(0.1 + 0.2 + 1 / 3) / 3])
    assert one.std == pytest.approx([0.5])
    assert dyncore.from_pretrained(saved, in_chans=4).info.preprocessing is None


def test_head_and_channels_can_both_be_new_and_the_result_is_saved(saved, tmp_path, images):
    other = dyncore.from_pretrained(saved, in_chans=1, num_classes=3)
    other.save_pretrained(tmp_path / "other")
    again = dyncore.from_pretrained(tmp_path / "other")
    grey = images[:, :1].float()
    assert again(grey).logits.shape == (6, 3)
    assert again(grey).logits.equal(other(grey).logits)


@pytest.mark.parametrize(
    "name", ["vanilla-resnet20-cifar", "static-resnet18", "vanilla-mobilenetv2"]
)
@pytest.mark.parametrize("channels", [1, 4])
def test_a_fresh_model_counts_and_runs_as_many(name, channels):
    with torch.device("meta"):
        model = dyncore.create_model(name, in_chans=channels).eval()
        assert model(torch.empty(2, channels, 32, 32)).logits.shape[0] == 2
    first = next(p for p in model.parameters() if p.ndim == 4)
    assert first.shape[1] == channels
    stem = cost_table(model, (channels, 32, 32)).stem
    with torch.device("meta"):
        usual = cost_table(dyncore.create_model(name), (3, 32, 32)).stem
    assert stem * 3 == usual * channels
    with pytest.raises(ValueError, match=rf"input_size must be \({channels}, height, width\)"):
        cost_table(model, (3, 32, 32))


def test_an_engine_runs_them(build_network, networks):
    config = copy.deepcopy(networks["blend"].config)
    backbone = ResNetConfig(
        block="basic", depths=(1, 2), widths=(4, 8), stem="cifar", in_channels=1
    )
    torch.manual_seed(0)
    model = dyncore.DynamicNetwork(type(config)(**{**vars(config), "backbone": backbone})).eval()
    grey = torch.randn(3, 1, 12, 12)
    engine = dyncore.Engine(model, grey, precision="fp32")
    torch.testing.assert_close(engine(grey).logits, model(grey).logits, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"\(batch, 1, height, width\)"):
        dyncore.Engine(model, torch.randn(3, 3, 12, 12))


def test_an_image_has_a_channel():
    with pytest.raises(ValueError, match="in_channels must be at least 1, not 0"):
        dyncore.create_model("static-resnet18", in_chans=0)
    assert backbone_config("resnet18").in_channels == 3
