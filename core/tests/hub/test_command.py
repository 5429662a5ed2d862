"""``dyn push``."""

import pytest
from pushed_model import FILES, NAME, assert_same

import dyncore
from dyncore.cli import main


def test_push(hub, model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "model")
    main(["push", str(tmp_path / "model"), NAME, "--private", "--revision", "v1"])
    assert hub.files(NAME, "v1").keys() == FILES
    assert f"pushed: {hub.endpoint}/{NAME}/commit/" in capsys.readouterr().out
    assert_same(dyncore.from_pretrained(NAME, revision="v1"), model)


def test_a_broken_folder_is_not_pushed(hub, model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(SystemExit) as stop:
        main(["push", str(tmp_path / "model"), NAME])
    assert stop.value.code == 2
    assert "model.safetensors cannot be read" in capsys.readouterr().err
    assert hub.requests == []


@pytest.mark.parametrize("folder", ["nowhere", "org/name"])
def test_only_a_folder_can_be_pushed(hub, capsys, folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["push", folder, NAME])
    assert f"dyn: no folder '{folder}': give the folder of a saved model" in (
        capsys.readouterr().err
    )
    assert hub.requests == []


def test_a_refusal_ends_with_its_advice(hub, model, fault, tmp_path, capsys):
    model.save_pretrained(tmp_path / "model")
    fault("", status=401)
    with pytest.raises(SystemExit):
        main(["push", str(tmp_path / "model"), NAME])
    assert "dyn: cannot push to 'org/digits-net': log in with" in capsys.readouterr().err
