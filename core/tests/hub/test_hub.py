"""Models to the Hub and back, through huggingface_hub's own client."""

import copy
import hashlib
import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard, constants

import dyncore
from dyncore.cli import main
from dyncore.data import Preprocessing
from dyncore.gating import config_to_dict
from dyncore.network import ModelInfo
from dyncore.recipes import find_recipe

NAME = "org/digits-net"
FILES = {"config.json", "model.safetensors", "README.md", "evaluation.json", "recipe.json"}
TOKEN = "hf_canary0123456789"


@pytest.fixture(scope="module")
def model(networks):
    model = copy.deepcopy(networks["blend"]).float()
    model.info = ModelInfo(
        method="vanilla",
        model="vanilla-resnet20-cifar",
        classes=("ant", "bee", "cow", "dog", "elk"),
        preprocessing=Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), size=13),
        dataset="cifar10",
        metrics={"accuracy": 0.1 + 0.2, "macs_ratio": 0.625},
        recipe=config_to_dict(find_recipe("vanilla-resnet20-digits-b0.5"))
        | {"dataset": "uoft-cs/cifar10"},
    )
    return model


@pytest.fixture
def pushed(hub, model):
    """The Hub, with the model; nothing is in the cache, and no request is remembered."""
    model.push_to_hub(NAME)
    hub.requests.clear()
    return hub


def assert_same(loaded, model):
    assert loaded.info == model.info
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_what_is_pushed_comes_back_bit_equal(hub, model):
    address = model.push_to_hub(NAME)
    assert re.fullmatch(rf"{hub.endpoint}/{NAME}/commit/[0-9a-f]{{40}}", address)
    assert_same(dyncore.from_pretrained(NAME), model)


def test_the_repository_tells_everything(pushed, model):
    files = pushed.files(NAME)
    assert files.keys() == FILES
    assert pushed.messages == ["Upload model"]
    assert pushed.visibility[NAME] == "public"
    assert json.loads(files["recipe.json"]) == model.info.recipe
    assert json.loads(files["evaluation.json"]) == {
        "dataset": "cifar10",
        "split": "test",
        "metrics": model.info.metrics,
    }
    assert json.loads(files["config.json"])["info"]["metrics"] == model.info.metrics


def test_the_card_says_the_same_to_the_hub_and_to_people(pushed, model):
    card = ModelCard(pushed.files(NAME)["README.md"].decode())
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()
    assert {r.metric_type: r.metric_value for r in card.data.eval_results} == model.info.metrics
    for result in card.data.eval_results:
        assert (result.dataset_type, result.dataset_name) == ("uoft-cs/cifar10", "cifar10")
        assert (result.task_type, result.dataset_split) == ("image-classification", "test")
    assert card.data.model_name == "vanilla-resnet20-cifar"
    assert card.data.library_name == "dyncore"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.datasets == ["uoft-cs/cifar10"]
    assert card.data.tags == ["dynamic-inference", "vanilla", "resnet"]
    assert f'dyncore.from_pretrained("{NAME}")' in card.text
    assert "| accuracy | 0.3 |" in card.text


def test_a_model_that_knows_little_has_a_card_too(hub, model):
    bare = copy.deepcopy(model)
    bare.info = ModelInfo()
    bare.push_to_hub(NAME)
    files = hub.files(NAME)
    assert files.keys() == FILES - {"recipe.json"}
    card = ModelCard(files["README.md"].decode())
    assert card.data.eval_results is None
    assert card.data.datasets is None
    assert "# digits-net" in card.text
    assert_same(dyncore.from_pretrained(NAME), bare)


def test_private_branch_and_message(hub, model):
    model.push_to_hub(NAME, private=True, revision="v2/half", commit_message="Half the cost")
    assert hub.visibility[NAME] == "private"
    assert hub.messages == ["Half the cost"]
    assert hub.files(NAME) == {}
    assert hub.files(NAME, "v2/half").keys() == FILES
    assert_same(dyncore.from_pretrained(NAME, revision="v2/half"), model)


def test_pushing_again_makes_a_new_commit_and_both_can_be_had(pushed, model):
    first = pushed.repositories[NAME]["main"]
    other = copy.deepcopy(model)
    other.info = replace(model.info, metrics={"accuracy": 0.5})
    other.push_to_hub(NAME)

    assert_same(dyncore.from_pretrained(NAME), other)
    assert_same(dyncore.from_pretrained(NAME, revision=first), model)


@pytest.mark.parametrize("name", ["digits-net", "a/b/c", "org/../../x", "org/no name", ""])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(hub, model, name):
    with pytest.raises((ValueError, dyncore.HubError), match=r"'org/name'|Repo id"):
        model.push_to_hub(name)
    assert hub.requests == []


class TestCache:
    def test_what_is_there_is_not_fetched_again(self, pushed, model):
        dyncore.from_pretrained(NAME)
        pushed.requests.clear()
        assert_same(dyncore.from_pretrained(NAME), model)
        assert pushed.seen("resolve") == []

    def test_a_pinned_commit_is_not_fetched_again(self, pushed, model):
        commit = pushed.repositories[NAME]["main"]
        dyncore.from_pretrained(NAME, revision=commit)
        pushed.requests.clear()
        assert_same(dyncore.from_pretrained(NAME, revision=commit), model)
        assert pushed.seen("resolve") == []

    @pytest.mark.parametrize("revision", [None, "main"])
    def test_offline_it_comes_from_the_cache(self, pushed, model, monkeypatch, revision):
        dyncore.from_pretrained(NAME)
        pushed.requests.clear()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert_same(dyncore.from_pretrained(NAME, revision=revision), model)
        assert pushed.requests == []

    def test_offline_without_a_copy_says_so(self, pushed, monkeypatch):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(FileNotFoundError, match="needs a connection the first time"):
            dyncore.from_pretrained(NAME)

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_hub_in_trouble_does_not_matter(self, pushed, model, fault, status):
        dyncore.from_pretrained(NAME)
        fault("/api/models/", status=status)
        assert_same(dyncore.from_pretrained(NAME), model)


class TestInterruptions:
    @pytest.fixture(autouse=True)
    def small_chunks(self, monkeypatch):
        """The client goes on at the last whole chunk: by default of 10 MB, here of 100 bytes."""
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)

    def fetch(self):
        """Clients before 2.0 go on only when they are called again."""
        for _ in range(10):
            try:
                return dyncore.from_pretrained(NAME)
            except dyncore.HubError as error:
                assert "peer closed connection" in str(error)  # noqa: PT017
        raise AssertionError("it never came to an end")

    @pytest.mark.parametrize(("after", "start"), [(0, 0), (99, 0), (100, 100), (1234, 1200)])
    def test_a_download_that_breaks_off_goes_on_where_it_stopped(
        self, pushed, model, fault, after, start
    ):
        fault("GET /[0-9a-f]{64}$", after=after, times=1)
        assert_same(self.fetch(), model)
        first, second = [r for r in pushed.requests if r.storage]
        assert first.range is None
        assert second.range == (f"bytes={start}-" if start else None)

    def test_one_that_breaks_off_often_goes_on_every_time(self, pushed, model, fault):
        fault("GET /[0-9a-f]{64}$", after=1000, times=7)
        assert_same(self.fetch(), model)
        ranges = [r.range for r in pushed.requests if r.storage]
        assert ranges == [None, *(f"bytes={n * 1000}-" for n in range(1, 8))]

    def test_one_that_always_breaks_off_is_explained_and_can_be_tried_again(
        self, pushed, model, fault
    ):
        fault("GET /[0-9a-f]{64}$", after=0)
        with pytest.raises(
            dyncore.HubError, match=r"cannot fetch 'org/digits-net': check the conn"
        ):
            dyncore.from_pretrained(NAME)
        pushed.faults.clear()
        assert_same(dyncore.from_pretrained(NAME), model)


class TestContent:
    def swap(self, hub, change):
        """The storage serves something else under the same hash."""
        oid = next(iter(hub.storage))
        hub.storage[oid] = change(hub.storage[oid])
        return oid

    @pytest.mark.parametrize("where", ["first", "last"])
    def test_a_file_that_is_not_the_recorded_one_is_refused(self, pushed, where):
        flip = {"first": lambda d: d[:-8] + b"\1" + d[-7:], "last": lambda d: d[:-1] + b"\x7f"}
        oid = self.swap(pushed, flip[where])
        message = f"not what it was in the Hub's record.*expected {oid}. Do not use it; .* delete"
        with pytest.raises(dyncore.ModelFileError, match=message):
            dyncore.from_pretrained(NAME)
        with pytest.raises(dyncore.ModelFileError, match="Do not use it"):  # nor the second time
            dyncore.from_pretrained(NAME)

    def test_what_was_refused_can_be_fetched_again_as_the_message_says(self, pushed, model):
        good = dict(pushed.storage)
        self.swap(pushed, lambda data: data[:-1] + b"\x7f")
        with pytest.raises(dyncore.ModelFileError) as error:
            dyncore.from_pretrained(NAME)
        pushed.storage.update(good)
        for path in re.search(r"delete (\S+) and (\S+)$", str(error.value)).groups():
            Path(path).unlink()
        assert_same(dyncore.from_pretrained(NAME), model)

    @pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
    @pytest.mark.parametrize("offline", [False, True])
    @pytest.mark.parametrize("recorded", [False, True])
    def test_a_copy_that_was_changed_is_refused(self, pushed, monkeypatch, file, offline, recorded):
        """By our record; where there is none, by the name of the cache's blob or by the Hub."""
        commit = pushed.repositories[NAME]["main"]
        dyncore.from_pretrained(NAME)
        repository = Path(constants.HF_HUB_CACHE) / "models--org--digits-net"
        if not recorded:
            (repository / "dyncore" / f"{commit}.json").unlink()
        blob = (repository / "snapshots" / commit / file).resolve()
        blob.write_bytes(blob.read_bytes().replace(b"0", b"1", 1))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        for revision in (None, commit):
            with pytest.raises(dyncore.ModelFileError, match=f"^{file} of '{NAME}' at commit"):
                dyncore.from_pretrained(NAME, revision=revision)

    def test_a_commit_whose_files_and_record_change_is_refused(self, pushed, model):
        """The Hub lies about a pinned commit: only what was read before can tell."""
        commit = pushed.repositories[NAME]["main"]
        dyncore.from_pretrained(NAME, revision=commit)
        other = bytearray(pushed.files(NAME)["model.safetensors"])
        other[-1] ^= 1
        pushed.commits[commit]["model.safetensors"] = bytes(other)
        pushed.storage = {hashlib.sha256(other).hexdigest(): bytes(other)}
        snapshot = Path(constants.HF_HUB_CACHE) / "models--org--digits-net/snapshots" / commit
        (snapshot / "model.safetensors").resolve().unlink()
        (snapshot / "model.safetensors").unlink()

        with pytest.raises(dyncore.ModelFileError, match="what it was when this commit was first"):
            dyncore.from_pretrained(NAME, revision=commit)

    def test_only_the_two_files_are_fetched(self, pushed, model):
        pushed.commit(NAME, "main", {"evil.py": b"import os", "pytorch_model.bin": b"\x80" * 2000})
        dyncore.from_pretrained(NAME)
        asked = {r.path.rpartition("/")[2] for r in pushed.seen("(GET|HEAD) .*/resolve/")}
        assert asked == {"config.json", "model.safetensors"}

    def test_a_repository_without_weights_is_explained(self, pushed):
        del pushed.files(NAME)["model.safetensors"]
        with pytest.raises(dyncore.ModelFileError, match=r"model\.safetensors is missing"):
            dyncore.from_pretrained(NAME)


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "error", "message"),
        [
            (401, FileNotFoundError, "no such model.*log in with 'hf auth login'"),
            (403, dyncore.HubError, "the token may not do this: use one with that right"),
            (404, FileNotFoundError, "no such model.*give a folder written by save_pretrained"),
            (429, dyncore.HubError, "too many requests: try again in 17 seconds; who is logged in"),
            (500, dyncore.HubError, r"the Hub has a problem \(HTTP 500\): try again in some min"),
            (503, dyncore.HubError, r"the Hub has a problem \(HTTP 503\): try again in some min"),
        ],
    )
    @pytest.mark.parametrize("where", ["/api/models/", "/resolve/", "GET /[0-9a-f]{64}$"])
    def test_fetching(self, pushed, fault, status, error, message, where):
        fault(where, status=status, headers={"Retry-After": "17"})
        with pytest.raises(error, match=message) as raised:
            dyncore.from_pretrained(NAME)
        assert "\n" not in str(raised.value)
        pushed.faults.clear()
        dyncore.from_pretrained(NAME)

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (401, "cannot push to 'org/digits-net': log in with 'hf auth login', or set HF_TOKEN"),
            (403, "the token may not do this: use one with that right"),
            (404, "check the spelling; if it is private, log in"),
            (413, r"the Hub does not take it \(HTTP 413\)"),
            (429, "too many requests: try again in 17 seconds"),
            (502, r"the Hub has a problem \(HTTP 502\): try again in some minutes"),
        ],
    )
    @pytest.mark.parametrize(
        "where", ["repos/create", "preupload", "objects/batch", "PUT", "/commit/"]
    )
    def test_pushing(self, hub, model, fault, status, message, where):
        fault(where, status=status, headers={"Retry-After": "17"})
        with pytest.raises(dyncore.HubError, match=message) as raised:
            model.push_to_hub(NAME)
        assert "\n" not in str(raised.value)
        hub.faults.clear()
        model.push_to_hub(NAME)
        assert hub.files(NAME).keys() == FILES

    def test_a_revision_that_is_not_there(self, pushed):
        with pytest.raises(FileNotFoundError, match="no such model at revision 'v9'"):
            dyncore.from_pretrained(NAME, revision="v9")

    def test_a_private_model_without_and_with_the_token(self, pushed, model, monkeypatch):
        pushed.token = TOKEN
        with pytest.raises(FileNotFoundError, match="if it is private, log in"):
            dyncore.from_pretrained(NAME)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert_same(dyncore.from_pretrained(NAME), model)

    def test_no_hub_at_all(self, hub, model, monkeypatch):
        nowhere = "http://127.0.0.1:9"
        monkeypatch.setattr(constants, "ENDPOINT", nowhere)
        with pytest.raises(dyncore.HubError, match="check the connection, HF_ENDPOINT and HF_HUB_"):
            model.push_to_hub(NAME)
        with pytest.raises(FileNotFoundError, match="needs a connection the first time"):
            dyncore.from_pretrained(NAME)


class TestToken:
    def test_it_goes_to_the_hub_and_nowhere_else(self, hub, model, monkeypatch, caplog, tmp_path):
        hub.token = TOKEN
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        with caplog.at_level(logging.DEBUG):
            model.push_to_hub(NAME)
            dyncore.from_pretrained(NAME)
        for request in hub.requests:
            if request.storage:
                assert request.authorization is None
            elif NAME in request.path:
                assert request.authorization == f"Bearer {TOKEN}"
        assert any(request.storage for request in hub.requests)
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert written
        assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
        assert not [
            files for files in hub.commits.values() if TOKEN.encode() in b"".join(files.values())
        ]
        assert TOKEN not in caplog.text

    @pytest.mark.parametrize("status", [400, 401, 403, 500])
    def test_a_failure_does_not_tell_it(self, hub, model, fault, monkeypatch, caplog, status):
        """Not even if the server sends it back."""
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        fault("", status=status, headers={"X-Error-Message": f"bad token {TOKEN}"})
        with caplog.at_level(logging.DEBUG), pytest.raises(dyncore.HubError) as error:
            model.push_to_hub(NAME)
        assert TOKEN not in str(error.value)
        with pytest.raises(OSError, match="org/digits-net") as error:
            dyncore.from_pretrained(NAME)
        assert TOKEN not in str(error.value)

    def test_it_is_in_no_file_and_no_log_of_a_run(
        self, hub, fault, monkeypatch, caplog, capfd, tmp_path
    ):
        """A run, a push, and a push that is refused."""
        hub.token = TOKEN
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.chdir(tmp_path)
        with caplog.at_level(logging.DEBUG):
            main(["train", "static-resnet20-digits", "--epochs", "0.1", "--output", "runs"])
            model = "runs/static-resnet20-digits/model"
            main(["push", model, NAME])
            fault("/commit/", status=403)
            with pytest.raises(SystemExit):
                main(["push", model, NAME, "--message", "again"])
        assert hub.seen("POST .*/commit/")[-1].authorization == f"Bearer {TOKEN}"
        files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
        assert len(files) > 5
        assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
        out, err = capfd.readouterr()
        assert "the token may not do this" in err
        assert TOKEN not in out + err + caplog.text


class TestCommand:
    def test_push(self, hub, model, tmp_path, capsys):
        model.save_pretrained(tmp_path / "model")
        main(["push", str(tmp_path / "model"), NAME, "--private", "--revision", "v1"])
        assert hub.files(NAME, "v1").keys() == FILES
        assert f"pushed: {hub.endpoint}/{NAME}/commit/" in capsys.readouterr().out
        assert_same(dyncore.from_pretrained(NAME, revision="v1"), model)

    def test_a_broken_folder_is_not_pushed(self, hub, model, tmp_path, capsys):
        model.save_pretrained(tmp_path / "model")
        weights = tmp_path / "model" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        with pytest.raises(SystemExit) as stop:
            main(["push", str(tmp_path / "model"), NAME])
        assert stop.value.code == 2
        assert "model.safetensors cannot be read" in capsys.readouterr().err
        assert hub.requests == []

    @pytest.mark.parametrize("folder", ["nowhere", "org/name"])
    def test_only_a_folder_can_be_pushed(self, hub, capsys, folder, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit):
            main(["push", folder, NAME])
        assert f"dyn: no folder '{folder}': give the folder of a saved model" in (
            capsys.readouterr().err
        )
        assert hub.requests == []

    def test_a_refusal_ends_with_its_advice(self, hub, model, fault, tmp_path, capsys):
        model.save_pretrained(tmp_path / "model")
        fault("", status=401)
        with pytest.raises(SystemExit):
            main(["push", str(tmp_path / "model"), NAME])
        assert "dyn: cannot push to 'org/digits-net': log in with" in capsys.readouterr().err
