"""``dyn calibrate``: the dial is learned, tried on other images, and saved with the model."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image

import dyncore
from dyncore.data import Preprocessing


@pytest.fixture
def model(trained, tmp_path):
    return str(shutil.copytree(trained / "model", tmp_path / "model"))


def test_it_tells_what_budgets_give_and_saves_the_dial(dyn, model, tmp_path):
    output = str(tmp_path / "dialled")
    ended = dyn("calibrate", model, "--data", "digits", "--output", output, "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    dial = dyncore.from_pretrained(output).dial
    assert found["images"] == dial.images == 180
    point = found["curve"][len(found["curve"]) // 2]
    assert point["error"] == pytest.approx(point["ratio"] / point["budget"] - 1)
    assert dyncore.from_pretrained(model).dial is None
    budget, file = str(point["budget"]), str(tmp_path / "e.parquet")
    ended = dyn("eval", output, "--data", "digits", "--budget", budget, "--output", file, "--json")
    ratio = json.loads(ended.out)["macs_ratio"]
    assert ratio == pytest.approx(point["budget"], rel=2 * dial.tolerance)


def test_classes_in_another_order_are_compared_by_name(dyn, tmp_path):
    """A model that answers "ant" to everything, of whose images nine in ten are ants."""
    for name, count in (("ant", 18), ("zebra", 2)):
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        for row in range(count):
            Image.new("RGB", (8, 8), (10 * row, 0, 0)).save(folder / f"{row}.png")
    model = dyncore.create_model("vanilla-resnet20-cifar", num_classes=2)
    seen = Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3, size=8)
    model.info = replace(model.info, classes=("zebra", "ant"), preprocessing=seen)
    with torch.no_grad():
        model.backbone.fc.weight.zero_()
        model.backbone.fc.bias.copy_(torch.tensor([0.0, 1.0]))
    model.save_pretrained(tmp_path / "model")
    given = (str(tmp_path / "model"), "--data", str(tmp_path / "data"))
    ended = dyn("calibrate", *given, "--budgets", "1", "--json")
    assert ended.status == 0, ended.err
    dial = dyncore.from_pretrained(tmp_path / "model").dial
    (point,) = json.loads(ended.out)["curve"]
    both = dial.settings[-1].accuracy * dial.images + point["accuracy"] * (20 - dial.images)
    assert both == pytest.approx(18)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budgets", "-1"), "budgets must be above 0, not -1"),
        (("--images", "1"), "images must be at least 2, not 1"),
        (("--budget", "0.001"), "budget 0.001 is less than this network costs"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_saved(dyn, model, arguments, message):
    ended = dyn("calibrate", model, "--data", "digits", *arguments)
    assert ended.status == 2
    assert message in " ".join(ended.err.split())
    assert dyncore.from_pretrained(model).dial is None


def test_a_budget_needs_a_calibrated_model(dyn, model):
    ended = dyn("eval", model, "--data", "digits", "--budget", "0.5")
    assert ended.status == 2
    assert "dyn calibrate MODEL --data DATA" in ended.message
