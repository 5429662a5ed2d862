"""``dyn cascade`` of digits networks, and what it saved."""

import json
import os

import pytest
import torch

import dyncore
from dyncore.cascade import Cascade
from dyncore.cli import main
from dyncore.export import export_onnx

TINY = ("--network.backbone.depths", "1", "1", "--network.backbone.widths")


@pytest.fixture(scope="module")
def small(tmp_path_factory, _on_cpu):
    """A static network narrower than ``trained``, and trained as briefly."""
    output = tmp_path_factory.mktemp("small")
    main(
        [
            *("train", "static-resnet20-digits", *TINY, "4", "4", "--epochs", "2"),
            *("--data", "digits", "--output", str(output), "--optimizer.learning-rate", "0.05"),
        ]
    )
    return output / "static-custom-digits" / "model"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("dyncore.cascade._clock.SECONDS", 0.001)
    monkeypatch.setattr("dyncore.cascade._clock.ROUNDS", 1)
    monkeypatch.setattr("dyncore.cli._cascade.BATCHES", ((1, 2), (32, 1)))


@pytest.fixture
def onnx_file(trained, tmp_path):
    network = dyncore.from_pretrained(trained / "model")
    export_onnx(network, torch.randn(4, 3, 8, 8), tmp_path / "large.onnx")
    return tmp_path / "large.onnx"


@pytest.mark.usefixtures("quick")
def test_the_chosen_cascade_is_saved_and_does_what_was_said(dyn, small, trained, tmp_path):
    large, kept = trained / "model", tmp_path / "kept"
    arguments = ("cascade", str(large), str(small), "--data", "digits", "--kept", str(kept))
    ended = dyn(*arguments, "--budget", "0.8", "--save", str(tmp_path / "saved"), "--json")
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)
    assert report["unit"] == "MACs"
    assert report["images"] == 359
    models = {row["name"]: row for row in report["models"]}
    for folder in (large, small):
        evaluated = dyncore.from_pretrained(folder).info.metrics
        model = models[folder.parent.name]
        assert evaluated["accuracy"] == pytest.approx(model["accuracy"])
        assert evaluated["mean_macs"] == pytest.approx(model["cost"])
    front = report["front"]
    assert [row["cost"] for row in front] == sorted(row["cost"] for row in front)
    assert [row["accuracy"] for row in front] == sorted(row["accuracy"] for row in front)
    assert all(row["ms_batch_1"] > 0 and row["ms_batch_32"] > 0 for row in front)
    chosen = report["chosen"]
    assert chosen["cost"] <= 0.8 * max(row["cost"] for row in report["models"]) * (1 + 1e-9)
    loaded = dyncore.from_pretrained(tmp_path / "saved")
    assert isinstance(loaded, Cascade)
    assert loaded.info.dataset == "digits"
    assert loaded.info.metrics["accuracy"] == chosen["expected_accuracy"]
    evaluated = dyn(
        *("eval", str(tmp_path / "saved"), "--data", "digits"),
        *("--output", str(tmp_path / "evaluation.parquet")),
    )
    assert evaluated.status == 0, evaluated.err
    printed = dict(line.split(": ", 1) for line in evaluated.out.splitlines())
    assert float(printed["accuracy"]) == pytest.approx(chosen["accuracy"], abs=0.003)
    assert float(printed["mean_macs"]) == pytest.approx(chosen["cost"], rel=0.01)
    assert printed["member 1"].endswith("in calibration")


@pytest.mark.usefixtures("quick")
def test_no_model_runs_twice(dyn, small, trained, onnx_file, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    common = ("--data", "digits", "--kept", str(kept))
    assert dyn("cascade", str(small), str(trained / "model"), *common).status == 0
    assert len(os.listdir(kept)) == 2
    asked = []
    plain = Cascade.logits

    def counting(self, index, images, rows=None):
        if len(images) > 32:  # fewer: timing
            asked.append(self.members[index].name)
        return plain(self, index, images, rows)

    monkeypatch.setattr(Cascade, "logits", counting)
    ended = dyn("cascade", str(small), str(trained / "model"), str(onnx_file), *common)
    assert ended.status == 0, ended.err
    assert set(asked) == {"large.onnx"}
    rows = [line.split("  ")[0] for line in ended.out.splitlines()]
    assert "3: large.onnx" in rows
    assert any("→" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a",), "at least two models, not 1"),
        (("a", "b", "--save", "x"), "--save needs to know which one"),
        (("a", "b", "--budget", "0.5", "--ms", "2"), "give one aim"),
        (("a", "timm:no/name"), "no folder 'a'"),
        (("timm:no/name", "a"), "no network's name"),
        (("none.onnx", "a"), "no file 'none.onnx'"),
    ],
)
def test_what_makes_no_cascade_is_refused(dyn, arguments, message):
    ended = dyn("cascade", *arguments, "--data", "digits")
    assert ended.status == 2
    assert message in " ".join(ended.err.replace("│", " ").split())


def test_a_cascade_is_no_member(dyn, trained, small, tmp_path):
    pair = [dyncore.from_pretrained(folder) for folder in (small, trained / "model")]
    Cascade(pair).save_pretrained(tmp_path)
    ended = dyn("cascade", str(tmp_path), str(small), "--data", "digits")
    assert ended.status == 2
    assert "is a cascade: name its members" in ended.message
    ended = dyn("bench", str(tmp_path), "--data", "digits")
    assert ended.status == 2
    assert "is a cascade, not one network" in ended.message


def test_images_of_the_training_split_are_refused(dyn, trained, small, tmp_path, monkeypatch):
    from dyncore.cli import _cascade

    digits = _cascade.load_dataset("digits")
    swapped = type(digits)(**{**vars(digits), "test": digits.train})
    monkeypatch.setattr(_cascade, "load_dataset", lambda *a, **k: swapped)
    ended = dyn(
        "cascade", str(trained / "model"), str(small), "--data", "digits", "--kept", str(tmp_path)
    )
    assert ended.status == 2
    assert "was trained on about 100% of the calibration images" in ended.message
