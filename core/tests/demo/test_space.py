"""A Space's folder is complete: its app answers, its card is what the Hub reads."""

import runpy

import pytest
from huggingface_hub import SpaceCard

import dyncore
from dyncore.demo import write_space


def test_a_space_holds_all_it_needs(network, tmp_path, monkeypatch):
    folder = write_space(network, 'my "net"', tmp_path / "space")
    card = SpaceCard.load(folder / "README.md")
    assert (card.data.sdk, card.data.app_file, card.data.title) == ("gradio", "app.py", 'my "net"')
    lines = (folder / "requirements.txt").read_text("utf-8").splitlines()
    assert lines[0] == f"dyncore[demo]>={dyncore.__version__}"
    monkeypatch.chdir(folder)
    pages = []
    monkeypatch.setattr("dyncore.demo.demo_page", lambda *given: pages.append(given))
    runpy.run_path("app.py", run_name="app")
    ((model, name),) = pages
    assert name == 'my "net"'
    assert model.info == network.info


def test_a_folder_with_something_in_it_is_left_alone(network, tmp_path):
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is there already"):
        write_space(network, "net", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_model_that_does_not_know_its_images_is_refused(tmp_path):
    model = dyncore.create_model("vanilla-resnet20-cifar")
    with pytest.raises(ValueError, match="this model has no preprocessing"):
        write_space(model, "net", tmp_path / "space")
    assert list(tmp_path.iterdir()) == []
