"""Files that are not what the Hub recorded, or what they were when first read."""

import hashlib
import re
from pathlib import Path

import pytest
from huggingface_hub import constants
from pushed_model import NAME, assert_same

import dyncore


def swap(hub, change):
    """The storage serves something else under the same hash."""
    oid = next(iter(hub.storage))
    hub.storage[oid] = change(hub.storage[oid])
    return oid


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_file_that_is_not_the_recorded_one_is_refused(pushed, where):
    flip = {"first": lambda d: d[:-8] + b"\1" + d[-7:], "last": lambda d: d[:-1] + b"\x7f"}
    oid = swap(pushed, flip[where])
    message = f"not what it was in the Hub's record.*expected {oid}. Do not use it; .* delete"
    with pytest.raises(dyncore.ModelFileError, match=message):
        dyncore.from_pretrained(NAME)
    with pytest.raises(dyncore.ModelFileError, match="Do not use it"):  # nor the second time
        dyncore.from_pretrained(NAME)


def test_what_was_refused_can_be_fetched_again_as_the_message_says(pushed, model):
    good = dict(pushed.storage)
    swap(pushed, lambda data: data[:-1] + b"\x7f")
    with pytest.raises(dyncore.ModelFileError) as error:
        dyncore.from_pretrained(NAME)
    pushed.storage.update(good)
    for path in re.search(r"delete (\S+) and (\S+)$", str(error.value)).groups():
        Path(path).unlink()
    assert_same(dyncore.from_pretrained(NAME), model)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_copy_that_was_changed_is_refused(pushed, monkeypatch, file, offline, recorded):
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


def test_a_commit_whose_files_and_record_change_is_refused(pushed, model):
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


def test_only_the_two_files_are_fetched(pushed, model):
    pushed.commit(NAME, "main", {"evil.py": b"import os", "pytorch_model.bin": b"\x80" * 2000})
    dyncore.from_pretrained(NAME)
    asked = {r.path.rpartition("/")[2] for r in pushed.seen("(GET|HEAD) .*/resolve/")}
    assert asked == {"config.json", "model.safetensors"}


def test_a_repository_without_weights_is_explained(pushed):
    del pushed.files(NAME)["model.safetensors"]
    with pytest.raises(dyncore.ModelFileError, match=r"model\.safetensors is missing"):
        dyncore.from_pretrained(NAME)
