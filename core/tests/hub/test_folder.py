"""What a model folder holds, and what is said when it is not whole."""

import json
import os

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file

from dyncore.hub import ModelFileError, find_folder, read_config, read_tensors, save_folder

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)}


@pytest.fixture
def folder(tmp_path):
    save_folder(tmp_path / "deep" / "model", {"format": 1, "name": "Größe"}, TENSORS)
    return tmp_path / "deep" / "model"


def test_a_folder_holds_two_files_that_others_can_read(folder):
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config == {"format": 1, "name": "Größe"}
    assert load_file(folder / "model.safetensors").keys() == TENSORS.keys()


def test_what_was_saved_is_read(folder):
    assert read_config(folder) == {"format": 1, "name": "Größe"}
    for name, tensor in read_tensors(folder).items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])


def test_a_view_is_saved_as_its_values(tmp_path):
    save_folder(tmp_path, {}, {"t": TENSORS["a.weight"].T})
    assert read_tensors(tmp_path)["t"].tolist() == [[0, 3], [1, 4], [2, 5]]


class Unwritable:
    pass


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        ({"metric": float("nan")}, TENSORS),
        ({"metric": Unwritable()}, TENSORS),
        ({}, {"a": "not a tensor"}),
        # Two names of one memory, which safetensors refuses.
        ({}, {"a": TENSORS["a.weight"], "b": TENSORS["a.weight"]}),
    ],
)
def test_what_cannot_be_written_leaves_the_old_model(folder, config, tensors):
    with pytest.raises((ValueError, TypeError, AttributeError, RuntimeError)):
        save_folder(folder, config, tensors)
    test_a_folder_holds_two_files_that_others_can_read(folder)
    test_what_was_saved_is_read(folder)


def test_a_full_disk_leaves_the_old_model(folder, monkeypatch):
    """The second file to be written does not fit."""

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="No space left"):
        save_folder(folder, {"format": 2}, {"new": torch.zeros(1)})
    monkeypatch.undo()
    test_a_folder_holds_two_files_that_others_can_read(folder)
    test_what_was_saved_is_read(folder)


def test_a_folder_that_is_a_file_is_no_place(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(FileExistsError):
        save_folder(tmp_path / "taken", {}, TENSORS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.json is not valid JSON .*: save the model again"),
        ('{"format": 1', "config.json is not valid JSON .*: save the model again"),
        ("[1, 2]", "config.json holds list, expected a JSON object"),
        ("null", "config.json holds NoneType, expected a JSON object"),
    ],
)
def test_a_damaged_config_is_named(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelFileError, match=message) as error:
        read_config(folder)
    assert str(folder) in str(error.value)


def test_bytes_that_are_no_text_are_named(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelFileError, match=r"config\.json is not valid JSON"):
        read_config(folder)


@pytest.mark.parametrize("length", [0, 5, 60, -1])
def test_a_cut_off_weights_file_is_named(folder, length):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=r"model\.safetensors cannot be read .*save it again"):
        read_tensors(folder)


def test_missing_files_are_named(folder):
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(ModelFileError, match=r"config\.json is missing: is this a folder written"):
        read_config(folder)
    with pytest.raises(ModelFileError, match=r"model\.safetensors is missing: the model was not"):
        read_tensors(folder)


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_a_local_folder_is_itself(folder, kind):
    assert find_folder(kind(folder)) == folder


@pytest.mark.parametrize(
    "source", ["nowhere", "./runs/model", "../runs/model", "~/model", "a/b/c", "x" * 5000]
)
def test_a_path_that_is_no_folder_is_never_asked_for_on_the_hub(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        FileNotFoundError,
        match=f"^no folder '{source}': give a folder written by save_pretrained, or a Hub name",
    ):
        find_folder(source)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The real client, cut off from the network, with a cache of its own."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("source", "revision", "message"),
    [
        ("runs/model", None, "no folder 'runs/model', and the Hub gives no such model: give a fo"),
        ("org/model", "v2", "the Hub gives no such model at revision 'v2': give a folder"),
        ("no such/name", None, "the Hub gives no such model.* The Hub's client says: Repo id must"),
        ("org/", None, "the Hub gives no such model"),
    ],
)
def test_a_hub_model_that_cannot_be_had_is_explained(offline, source, revision, message):
    with pytest.raises(FileNotFoundError, match=message) as error:
        find_folder(source, revision)
    assert "needs a connection the first time" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_hub_model_that_was_fetched_before_is_found_without_network(offline, folder):
    commits = {"main": "1" * 40, "v2": "2" * 40}
    repository = offline / "models--org--model"
    for revision, commit in commits.items():
        snapshot = repository / "snapshots" / commit
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        save_folder(snapshot, {"revision": revision}, TENSORS)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / revision).write_text(commit)

    assert read_config(find_folder("org/model")) == {"revision": "main"}
    assert read_config(find_folder("org/model", "v2")) == {"revision": "v2"}
