"""The token goes to the Hub and nowhere else."""

import logging

import pytest
from pushed_model import NAME, TOKEN

import dyncore
from dyncore.cli import main


def test_it_goes_to_the_hub_and_nowhere_else(hub, model, monkeypatch, caplog, tmp_path):
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
def test_a_failure_does_not_tell_it(hub, model, fault, monkeypatch, caplog, status):
    """Not even if the server sends it back."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fault("", status=status, headers={"X-Error-Message": f"bad token {TOKEN}"})
    with caplog.at_level(logging.DEBUG), pytest.raises(dyncore.HubError) as error:
        model.push_to_hub(NAME)
    assert TOKEN not in str(error.value)
    with pytest.raises(OSError, match="org/digits-net") as error:
        dyncore.from_pretrained(NAME)
    assert TOKEN not in str(error.value)


def test_it_is_in_no_file_and_no_log_of_a_run(hub, fault, monkeypatch, caplog, capfd, tmp_path):
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
