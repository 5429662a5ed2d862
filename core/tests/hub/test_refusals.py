"""What is said when the Hub says no, or nothing."""

import pytest
from huggingface_hub import constants
from pushed_model import FILES, NAME, TOKEN, assert_same

import dyncore


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
def test_fetching(pushed, fault, status, error, message, where):
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
@pytest.mark.parametrize("where", ["repos/create", "preupload", "objects/batch", "PUT", "/commit/"])
def test_pushing(hub, model, fault, status, message, where):
    fault(where, status=status, headers={"Retry-After": "17"})
    with pytest.raises(dyncore.HubError, match=message) as raised:
        model.push_to_hub(NAME)
    assert "\n" not in str(raised.value)
    hub.faults.clear()
    model.push_to_hub(NAME)
    assert hub.files(NAME).keys() == FILES


def test_a_revision_that_is_not_there(pushed):
    with pytest.raises(FileNotFoundError, match="no such model at revision 'v9'"):
        dyncore.from_pretrained(NAME, revision="v9")


def test_a_private_model_without_and_with_the_token(pushed, model, monkeypatch):
    pushed.token = TOKEN
    with pytest.raises(FileNotFoundError, match="if it is private, log in"):
        dyncore.from_pretrained(NAME)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert_same(dyncore.from_pretrained(NAME), model)


def test_no_hub_at_all(hub, model, monkeypatch):
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", nowhere)
    with pytest.raises(dyncore.HubError, match="check the connection, HF_ENDPOINT and HF_HUB_"):
        model.push_to_hub(NAME)
    with pytest.raises(FileNotFoundError, match="needs a connection the first time"):
        dyncore.from_pretrained(NAME)
