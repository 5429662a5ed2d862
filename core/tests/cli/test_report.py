"""``dyn report``: from a trained run to a page."""

import json

import pytest

from dyncore.training import Evaluation


def test_a_runs_folder_becomes_a_page(dyn, trained, tmp_path):
    output = tmp_path / "new" / "report"
    ended = dyn(
        *("report", str(trained), "--data", "digits", "--measure", "--json"),
        *("--output", str(output)),
    )
    assert ended.status == 0, ended.err
    (row,) = json.loads(ended.out)
    assert row.pop("model") == "vanilla-resnet20-digits-b0.5"
    assert row.pop("ms") > 0
    assert row == Evaluation.load(trained / "evaluation.parquet").metrics()
    text = (output / "index.html").read_text(encoding="utf-8")
    assert "Report on digits" in text
    assert {"accuracy-milliseconds.png", "easy-hard-1.svg", "paths-1.png"} < {
        file.name for file in (output / "figures").iterdir()
    }


def test_training_leaves_its_curves(trained):
    text = (trained / "training.html").read_text(encoding="utf-8")
    assert "Training of vanilla-resnet20-digits-b0.5" in text
    assert "test/accuracy" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: there is no evaluation; give the folder of a run that has ended"),
        (["missing", "--measure"], "--measure needs the images: give --data as well"),
    ],
)
def test_what_is_missing_is_said(dyn, tmp_path, arguments, message):
    ended = dyn("report", *arguments, "--output", str(tmp_path / "report"))
    assert ended.status == 2
    assert message in " ".join(ended.err.replace("│", " ").split())
    assert not (tmp_path / "report").exists()


def test_logs_have_a_line_per_epoch_and_no_carriage_returns(dyn, tmp_path):
    ended = dyn(
        *("train", "vanilla-resnet20-digits-b0.5", "--epochs", "2", "--output", str(tmp_path)),
        *("--network.backbone.depths", "1", "1", "--network.backbone.widths", "4", "8"),
    )
    assert ended.status == 0
    assert "\r" not in ended.out + ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("train ")]
    assert [line.partition(":")[0] for line in lines] == ["train 1/2", "train 2/2"]
    assert all("loss " in line and line.endswith(" s") for line in lines)
