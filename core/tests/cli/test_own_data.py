"""``dyn train METHOD --backbone BACKBONE --data FOLDER``, and what comes after it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dyncore
from dyncore.cli._train import USAGE
from dyncore.training import Evaluation

TINY = ("--network.backbone.depths", "1", "1", "--network.backbone.widths", "4", "8")
CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three classes of images of odd sizes, one of them broken, without splits."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for row in range(10):
            grey = Image.new("RGB", (70 + 3 * row, 65 + label), (80 * label, 9 * row, 0))
            grey.save(folder / name / f"{row}.png")
    (folder / "dog" / "9.png").write_bytes(b"no image")  # held out: every fifth
    return str(folder)


def test_a_broken_image_leaves_the_runs_folder_free(dyn, photos, tmp_path):
    (tmp_path / "photos" / "train").mkdir(parents=True)
    for name in CLASSES:
        shutil.copytree(Path(photos) / name, tmp_path / "photos" / "train" / name)
    shutil.copytree(tmp_path / "photos" / "train", tmp_path / "photos" / "val")
    given = ("train", "static", "--backbone", "resnet20-cifar", "--size", "16", *TINY)
    given += ("--data", str(tmp_path / "photos"), "--epochs", "1", "--batch-size", "10")
    given += ("--output", str(tmp_path), "--name", "it", "--workers", "0")
    ended = dyn(*given)
    assert (ended.status, "with --skip-corrupt" in ended.message) == (2, True)
    ended = dyn(*given, "--skip-corrupt")
    assert ended.status == 0, ended.err


@pytest.fixture(scope="module")
def model(photos, tmp_path_factory, _on_cpu):
    from accelerate.state import AcceleratorState

    from dyncore.cli import main

    output = tmp_path_factory.mktemp("runs")
    main(
        [
            *("train", "vanilla", "--backbone", "resnet20-cifar", "--data", photos, *TINY),
            *("--size", "16", "--budget", "0.5", "--epochs", "1", "--batch-size", "8"),
            *("--network.router.dim", "8", "--output", str(output), "--workers", "0"),
            *("--optimizer", "AdamW(lr=1e-3)", "--schedule", "OneCycleLR", "--skip-corrupt"),
        ]
    )
    AcceleratorState._reset_state(reset_partial_state=True)
    (run,) = output.iterdir()
    return run


def test_help_says_so_first(dyn):
    assert dyn("train", "--help").out == USAGE
    assert USAGE.startswith("usage: dyn train METHOD --backbone BACKBONE --data FOLDER")
    ended = dyn("train", "vanilla", "--help")
    text = " ".join(ended.out.replace("│", " ").split())
    assert ended.status == 0
    for option in ("--backbone STR", "--budget {None}|FLOAT", "--objective.flops.target FLOAT"):
        assert option in text


def test_a_run_is_named_after_what_it_is(model):
    assert model.name == "vanilla-custom-photos-b0.5"
    recipe = json.loads((model / "recipe.json").read_text())
    assert recipe["optimizer"] == {"call": "AdamW(lr=1e-3)", "router_learning_rate": None}
    assert recipe["phases"][-1]["schedule"] == {"call": "OneCycleLR"}
    trained = dyncore.from_pretrained(model / "model")
    assert trained.info.classes == CLASSES
    assert trained.info.preprocessing.size == 16
    assert trained.info.model == "vanilla-custom"


def test_eval_takes_the_models_size_and_classes_and_reads_one_split(
    dyn, model, photos, tmp_path, caplog
):
    file = tmp_path / "evaluation.parquet"
    given = ("eval", str(model / "model"), "--output", str(file), "--workers", "0")
    ended = dyn(*given, "--data", photos, "--skip-corrupt")
    assert ended.status == 0, ended.err
    assert "train split" not in caplog.text
    found, expected = Evaluation.load(file), Evaluation.load(model / "evaluation.parquet")
    assert len(found.label) == 5
    for name in ("label", "prediction", "path"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("cat", "owl"):
        part = tmp_path / "some" / "val" / name
        part.mkdir(parents=True)
        Image.new("RGB", (70, 80)).save(part / "0.png")
    ended = dyn(*given, "--data", str(tmp_path / "some"))
    assert "has 2 of the model's 3 classes" in caplog.text
    assert Evaluation.load(file).label.tolist() == [0, 2]


def test_the_error_of_a_broken_image_names_the_option_as_it_is_typed(dyn, model, photos, tmp_path):
    ended = dyn(
        *("eval", str(model / "model"), "--data", photos, "--workers", "0"),
        *("--output", str(tmp_path / "evaluation.parquet")),
    )
    assert ended.status == 2
    assert "9.png" in ended.message
    assert "leave out all such images with --skip-corrupt" in ended.message


def test_bench_measures_on_the_data(dyn, model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("dyncore.cascade._clock.SECONDS", 0.0)
    given = ("bench", str(model / "model"), "--data", photos, "--skip-corrupt", "--threads", "1")
    ended = dyn(*given, "--batch", "2", "--json", "--output", str(tmp_path))
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    assert found == json.loads((tmp_path / "bench.json").read_text())
    times = {row["engine"]: row["milliseconds"] for row in found["measured"]}
    assert {"dyncore", "eager"} <= times.keys()
    assert times.keys() | found["missing"].keys() == {
        "dyncore", "eager", "ONNX Runtime", "OpenVINO"
    }  # fmt: skip
    for row in found["measured"]:
        assert row["precision"] in {"fp32", "bf16"}
        assert row["speedup"] == pytest.approx(row["milliseconds"] / times["dyncore"])
    metrics = Evaluation.load(model / "evaluation.parquet").metrics()
    assert found["images"] == 5
    assert found["accuracy"]["dyncore"] == pytest.approx(metrics["accuracy"])
    assert found["macs_ratio"] == pytest.approx(metrics["macs_ratio"], rel=1e-6)
    assert (tmp_path / "bench.png").exists()


def test_bench_in_float32_is_in_float32(dyn, model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("dyncore.cascade._clock.SECONDS", 0.0)
    given = ("bench", str(model / "model"), "--data", photos, "--skip-corrupt", "--threads", "1")
    ended = dyn(*given, "--batch", "1", "--precision", "fp32", "--json", "--output", str(tmp_path))
    assert ended.status == 0, ended.err
    assert {row["precision"] for row in json.loads(ended.out)["measured"]} == {"fp32"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "vanilla"), "dyn train vanilla needs --backbone and --data: dyn train vanilla"),
        (("train", "vanilla", "--backbone", "resnet18"), "dyn train vanilla needs --data"),
        (("train", "vanila", "--backbone", "resnet18", "--data", "x"), "unknown method 'vanila'"),
        (("bench", "model"), "give images with --data DATA, or time blocks with --blocks"),
    ],
)
def test_what_is_missing_is_said(dyn, arguments, message):
    ended = dyn(*arguments)
    assert ended.status == 2
    assert message in " ".join(ended.err.replace("│", " ").split())
