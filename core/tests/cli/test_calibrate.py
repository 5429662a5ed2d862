"""``dyn calibrate``: the dial is learned, tried on other images, and saved with the model."""

import json
import shutil

import pytest

import dyncore


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
