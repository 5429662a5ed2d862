"""``dyn train`` with overrides, and ``dyn eval`` of what it saved."""

import json
import sys
from math import cos, pi

import numpy as np
import pytest

import dyncore
from dyncore.cli import train_main
from dyncore.training import Evaluation

RECIPE = "vanilla-resnet20-digits-b0.5"


def test_overrides_reach_the_run(trained):
    recipe = json.loads((trained / "recipe.json").read_text())
    assert recipe["network"]["backbone"]["depths"] == [1, 1]
    assert recipe["objective"]["rate"]["target"] == 0.3
    assert recipe["optimizer"]["learning_rate"] == 0.05
    assert [phase["epochs"] for phase in recipe["phases"]] == [1.0]
    assert recipe["options"]["seed"] == 5
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["epoch"] == 1.0
    last = [row for row in rows if "phase" in row][-1]
    progress = (last["step"] - 1) / last["step"]
    assert last["learning_rate"] == pytest.approx(0.05 * (1 + cos(pi * progress)) / 2)
    model = dyncore.from_pretrained(trained / "model")
    assert model.paths_per_block == (1, 1)


def test_help_shows_the_recipes_own_values(dyn):
    ended = dyn("train", RECIPE, "--help")
    assert ended.status == 0
    text = " ".join(ended.out.replace("│", " ").split())
    assert "--objective.rate.target FLOAT" in text
    assert "RDI-Net and SP-Net). (default: 0.5)" in text
    assert "--epochs" in text


def test_eval_repeats_the_evaluation_of_training(dyn, trained, tmp_path):
    file = tmp_path / "new" / "evaluation.parquet"
    ended = dyn(
        *("eval", str(trained / "model"), "--data", "digits", "--batch-size", "100"),
        *("--output", str(file)),
    )
    assert ended.status == 0
    found, expected = Evaluation.load(file), Evaluation.load(trained / "evaluation.parquet")
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    printed = dict(line.split(": ", 1) for line in ended.out.splitlines())
    assert printed.pop("per image") == str(file)
    assert {name: float(value) for name, value in printed.items()} == {
        name: pytest.approx(value, rel=1e-5) for name, value in expected.metrics().items()
    }
    saved = dyncore.from_pretrained(trained / "model").info.metrics
    assert saved == expected.metrics()


def test_a_methods_script_trains(trained, tmp_path, monkeypatch, capsys):
    """The same run by ``train.py`` gives the same file."""
    given = ["--network.backbone.depths", "1", "1", "--network.backbone.widths", "4", "8"]
    given += ["--network.router.dim", "8", "--objective.rate.target", "0.3"]
    given += ["--optimizer.learning-rate", "0.05", "--epochs", "1", "--seed", "5"]
    given += ["--name", RECIPE, "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["train.py", RECIPE, *given])
    train_main("vanilla")
    assert str(tmp_path / RECIPE / "model") in capsys.readouterr().out
    found, expected = (
        folder / "model" / "model.safetensors" for folder in (tmp_path / RECIPE, trained)
    )
    assert found.read_bytes() == expected.read_bytes()
