"""What a model folder holds, and what is said when it is not whole."""

import json

import pytest
import torch
from safetensors.torch import load_file

from dyncore.hub import ModelFileError
from dyncore.network import read_tensors
from dyncore.network._folder import read_config, save_folder

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
