"""What was fetched once is not fetched again, and needs no connection."""

import pytest
from huggingface_hub import constants
from pushed_model import NAME, assert_same

import dyncore


def test_what_is_there_is_not_fetched_again(pushed, model):
    dyncore.from_pretrained(NAME)
    pushed.requests.clear()
    assert_same(dyncore.from_pretrained(NAME), model)
    assert pushed.seen("resolve") == []


def test_a_pinned_commit_is_not_fetched_again(pushed, model):
    commit = pushed.repositories[NAME]["main"]
    dyncore.from_pretrained(NAME, revision=commit)
    pushed.requests.clear()
    assert_same(dyncore.from_pretrained(NAME, revision=commit), model)
    assert pushed.seen("resolve") == []


@pytest.mark.parametrize("revision", [None, "main"])
def test_offline_it_comes_from_the_cache(pushed, model, monkeypatch, revision):
    dyncore.from_pretrained(NAME)
    pushed.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_same(dyncore.from_pretrained(NAME, revision=revision), model)
    assert pushed.requests == []


def test_offline_without_a_copy_says_so(pushed, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="needs a connection the first time"):
        dyncore.from_pretrained(NAME)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_in_trouble_does_not_matter(pushed, model, fault, status):
    dyncore.from_pretrained(NAME)
    fault("/api/models/", status=status)
    assert_same(dyncore.from_pretrained(NAME), model)
