"""Bad input ends with one line that says what was wrong, and status 2."""

import json
import subprocess
import sys

import pytest

from dyncore.cli._guard import guard
from dyncore.hub import HubError
from dyncore.parts import RegistryError

RECIPE = "vanilla-resnet20-digits-b0.5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tain"],
            "dyn: unknown command 'tain'; did you mean 'train'? 'dyn --help' shows all",
        ),
        (["list", "layers"], "dyn: dyn list takes one of methods, models, recipes and a prefix"),
        (["list", "models", "a", "b"], "dyn: dyn list takes one of methods, models, recipes"),
        (["train"], "dyn: name a recipe first: dyn train RECIPE ..."),
        (["train", "--epochs", "1"], "dyn: name a recipe first: dyn train RECIPE ..."),
        (
            ["train", "vanilla-resnet20-digits"],
            "dyn: unknown recipe 'vanilla-resnet20-digits'; did",
        ),
        (["train", "cdbx-resnet20-digits"], "dyn: unknown recipe 'cdbx-resnet20-digits': unknown"),
        (["train", RECIPE, "--data", "no/such/folder"], "dyn: no/such/folder: there is no such"),
        (["train", RECIPE, "--epochs", "0"], "dyn: epochs must be positive, not 0"),
        (["train", RECIPE, "--init", "./nowhere"], "dyn: no folder './nowhere'"),
        (["train", RECIPE, "--batch-size", "5000"], "dyn: the split has 1438 images, fewer than"),
        (["eval", "./nowhere", "--data", "digits"], "dyn: no folder './nowhere'"),
        (["export", "./nowhere", "--format", "onnx"], "dyn: no folder './nowhere'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line(dyn, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    ended = dyn(*arguments)
    assert ended.status == 2
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["train", RECIPE, "--objective.rate.weigth", "2"], "--objective.rate.weigth"),
        (["train", RECIPE, "--objective.rate.target", "1.5"], "target must be in [0, 1], not 1.5"),
        (["train", RECIPE, "--optimizer.momentum", "high"], "--optimizer.momentum"),
        (["train", RECIPE, "--precision", "fp8"], "--precision"),
        (["eval"], "--data"),
        (["export", "x"], "--format"),
        (["export", "x", "--format", "onnx", "--static-subnet"], "--calibrate DATA go together"),
        (["export", "x", "--format", "onnx", "--skip"], "--skip is for --format pt2"),
        (["export", "x", "--format", "pt2", "--batch-size", "0"], "batch_size must be at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_are_explained_before_the_last_line(dyn, tmp_path, monkeypatch, arguments, culprit):
    monkeypatch.chdir(tmp_path)
    ended = dyn(*arguments)
    assert ended.status == 2
    assert culprit in ended.err
    assert ended.message.startswith("dyn: the options above are wrong or missing")
    assert list(tmp_path.iterdir()) == []


def test_eval_needs_the_models_classes(dyn, trained, animals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = dyn("eval", str(trained / "model"), "--data", animals)
    assert ended.status == 2
    assert ended.message == "dyn: the model has 10 classes, data set 'animals' has 2"
    assert not (tmp_path / "evaluation.parquet").exists()


def test_a_run_is_not_overwritten(dyn, trained):
    before = (trained / "recipe.json").read_bytes()
    ended = dyn("train", RECIPE, "--output", str(trained.parent))
    assert ended.status == 2
    assert "already holds a run: continue it with --resume auto" in ended.message
    assert (trained / "recipe.json").read_bytes() == before


def test_a_broken_package_is_named(dyn, monkeypatch):
    def broken() -> list[str]:
        raise RegistryError("package dyn-x registers method 'x', but loading dyn_x failed")

    monkeypatch.setattr("dyncore.registry.list_methods", broken)
    ended = dyn("list")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "dyn: package dyn-x registers method 'x', but loading dyn_x failed\n"


def test_what_the_hub_says_is_for_people(capsys):
    def refused() -> None:
        raise HubError("cannot fetch 'org/name': log in")

    with pytest.raises(SystemExit) as stop:
        guard(refused)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "dyn: cannot fetch 'org/name': log in\n"


@pytest.mark.parametrize("error", [OSError("disk"), RuntimeError("bug"), KeyError("bug")])
def test_an_error_that_nobody_expected_is_one_paragraph_and_whole_on_request(capsys, error):
    def broken() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        guard(broken, debug=True)
    assert raised.value is error
    with pytest.raises(SystemExit) as stop:
        guard(broken)
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"dyn: unexpected {type(error).__name__}: {error} (test_errors.py, line "
    )
    assert said.endswith("--debug shows the whole traceback\n")
    assert said.count("\n") == 1


def test_debug_stands_anywhere_and_brings_the_traceback(dyn):
    for arguments in (("--debug", "list", "layers"), ("list", "layers", "--debug")):
        with pytest.raises(ValueError, match="dyn list takes one of"):
            dyn(*arguments)


def test_other_programs_read_json(dyn):
    assert "vanilla" in json.loads(dyn("list", "methods", "--json").out)
    (row,) = json.loads(dyn("list", "recipes", RECIPE, "--json").out)
    assert row["recipe"] == RECIPE
    assert set(row) == {"recipe", "kind", "paper", "place"}


def test_checks_that_need_no_images_come_first(dyn, trained, monkeypatch):
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("images were decoded")

    monkeypatch.setattr("dyncore.training._trainer.load_dataset", decode)
    ended = dyn("train", RECIPE, "--output", str(trained.parent))
    assert "already holds a run" in ended.message
    ended = dyn("train", RECIPE, "--init", "./nowhere", "--output", str(trained / "new"))
    assert ended.message.startswith("dyn: no folder './nowhere'")


def test_the_command_itself_shows_no_traceback():
    code = "from dyncore.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("dyn: unknown recipe 'nothing'")
    assert "Traceback" not in done.stderr
