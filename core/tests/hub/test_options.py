"""What the Hub's client can be told, ``from_pretrained`` can."""

import logging

import pytest
import torch
from huggingface_hub import HfApi, constants
from pushed_model import NAME, assert_same

import dyncore


@pytest.fixture
def nested(hub, model, tmp_path):
    """The Hub, with the model in a folder of a repository."""
    model.save_pretrained(tmp_path / "saved" / "small" / "v1")
    api = HfApi()
    api.create_repo(NAME)
    api.upload_folder(repo_id=NAME, folder_path=tmp_path / "saved")
    hub.requests.clear()
    return hub


@pytest.mark.situation(
    "`from_pretrained(…, subfolder=…)`", under="Saved models, as people have them"
)
def test_a_model_in_a_subfolder(nested, model):
    assert_same(dyncore.from_pretrained(NAME, subfolder="small/v1"), model)
    nested.requests.clear()
    assert_same(dyncore.from_pretrained(NAME, subfolder="small/v1"), model)
    assert nested.seen("resolve") == []
    with pytest.raises(FileNotFoundError, match="has no model in a folder 'large'"):
        dyncore.from_pretrained(NAME, subfolder="large")


def test_a_changed_file_in_a_subfolder_is_refused(nested):
    folder = dyncore.hub.find_folder(NAME, subfolder="small/v1")
    (folder / "config.json").resolve().write_text("{}")
    with pytest.raises(dyncore.ModelFileError, match=r"small/v1/config\.json .* is not what"):
        dyncore.from_pretrained(NAME, subfolder="small/v1")


@pytest.mark.parametrize("subfolder", ["", "..", "a/../b", "/a", "a//b", "."])
def test_a_subfolder_lies_inside(tmp_path, subfolder):
    with pytest.raises(ValueError, match="subfolder must be a path inside the model"):
        dyncore.from_pretrained(tmp_path, subfolder=subfolder)


def test_a_subfolder_of_a_local_folder(model, tmp_path):
    model.save_pretrained(tmp_path / "inner")
    assert_same(dyncore.from_pretrained(tmp_path, subfolder="inner"), model)
    with pytest.raises(FileNotFoundError, match="has no folder 'other'"):
        dyncore.from_pretrained(tmp_path, subfolder="other")


@pytest.mark.situation(
    "`local_files_only=True`: nobody is asked", under="Saved models, as people have them"
)
def test_local_files_only_asks_nobody(pushed, model):
    with pytest.raises(FileNotFoundError, match="leave out local_files_only"):
        dyncore.from_pretrained(NAME, local_files_only=True)
    assert pushed.requests == []
    dyncore.from_pretrained(NAME)
    pushed.requests.clear()
    assert_same(dyncore.from_pretrained(NAME, local_files_only=True), model)
    assert pushed.requests == []


@pytest.mark.situation("`cache_dir=…`", under="Saved models, as people have them")
def test_another_cache(pushed, model, tmp_path):
    assert_same(dyncore.from_pretrained(NAME, cache_dir=tmp_path / "mine"), model)
    assert list((tmp_path / "mine").glob("models--*"))
    assert not list((tmp_path / "cache").glob("models--*"))
    pushed.requests.clear()
    found = dyncore.from_pretrained(NAME, cache_dir=tmp_path / "mine", local_files_only=True)
    assert_same(found, model)
    assert pushed.requests == []


@pytest.mark.situation(
    "`token=…`, which no message shows", under="Saved models, as people have them"
)
def test_a_token_is_the_one_that_is_sent_and_is_not_told(pushed, model, fault, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    dyncore.from_pretrained(NAME, token="hf_mine")
    assert {request.authorization for request in pushed.seen("api")} == {"Bearer hf_mine"}
    fault("/api/models/", status=403)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "nowhere")
    with pytest.raises(OSError, match="the token may not do this") as error:
        dyncore.from_pretrained(NAME, token="hf_mine", cache_dir="another", revision="main")
    assert "hf_mine" not in str(error.value) + caplog.text


@pytest.mark.situation("`device=…` and `dtype=…`", under="Saved models, as people have them")
def test_device_and_dtype(pushed):
    loaded = dyncore.from_pretrained(NAME, device="meta", dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    assert {p.device.type for p in loaded.parameters()} == {"meta"}
