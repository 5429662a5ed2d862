"""Where a model is looked for: a folder, or a name on the Hub."""

import os

import huggingface_hub
import pytest

from dyncore.hub import find_folder


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_a_local_folder_is_itself(kind, tmp_path):
    assert find_folder(kind(tmp_path)) == tmp_path


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


def test_a_hub_model_that_was_fetched_before_is_found_without_network(offline):
    commits = {"main": "1" * 40, "v2": "2" * 40}
    repository = offline / "models--org--model"
    for revision, commit in commits.items():
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text(revision)
        (snapshot / "model.safetensors").write_text("weights")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / revision).write_text(commit)

    assert (find_folder("org/model") / "config.json").read_text() == "main"
    assert (find_folder("org/model", "v2") / "config.json").read_text() == "v2"
