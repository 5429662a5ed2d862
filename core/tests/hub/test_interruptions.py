"""Downloads that break off."""

import pytest
from huggingface_hub import constants
from pushed_model import NAME, assert_same

import dyncore


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """The client goes on at the last whole chunk: by default of 10 MB, here of 100 bytes."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)


def fetch():
    """Clients before 2.0 go on only when they are called again."""
    for _ in range(10):
        try:
            return dyncore.from_pretrained(NAME)
        except dyncore.HubError as error:
            assert "peer closed connection" in str(error)  # noqa: PT017
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize(("after", "start"), [(0, 0), (99, 0), (100, 100), (1234, 1200)])
def test_a_download_that_breaks_off_goes_on_where_it_stopped(pushed, model, fault, after, start):
    fault("GET /[0-9a-f]{64}$", after=after, times=1)
    assert_same(fetch(), model)
    first, second = [r for r in pushed.requests if r.storage]
    assert first.range is None
    assert second.range == (f"bytes={start}-" if start else None)


def test_one_that_breaks_off_often_goes_on_every_time(pushed, model, fault):
    fault("GET /[0-9a-f]{64}$", after=1000, times=7)
    assert_same(fetch(), model)
    ranges = [r.range for r in pushed.requests if r.storage]
    assert ranges == [None, *(f"bytes={n * 1000}-" for n in range(1, 8))]


def test_one_that_always_breaks_off_is_explained_and_can_be_tried_again(pushed, model, fault):
    fault("GET /[0-9a-f]{64}$", after=0)
    with pytest.raises(dyncore.HubError, match=r"cannot fetch 'org/digits-net': check the conn"):
        dyncore.from_pretrained(NAME)
    pushed.faults.clear()
    assert_same(dyncore.from_pretrained(NAME), model)
