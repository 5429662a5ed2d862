"""``dyn bench``."""

import pytest
import torch

import dyncore
from dyncore.cli import main
from dyncore.cost import read_profile


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    dyncore.create_model("vanilla-resnet20-cifar").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_of_another_type_runs_in_float32(tmp_path, capsys):
    dyncore.create_model("vanilla-resnet20-cifar").double().save_pretrained(tmp_path)
    main(["bench", str(tmp_path), "--blocks", "--size", "8", "--threads", "1"])
    assert "ns for one 3×8×8 image" in capsys.readouterr().out


def test_it_prints_and_writes_a_profile(saved, tmp_path, capsys):
    file = tmp_path / "profile.json"
    main(["bench", str(saved), "--blocks", "--size", "16", "--output", str(file), "--threads", "1"])
    assert "ns for one 3×16×16 image" in capsys.readouterr().out
    profile = read_profile(file)
    assert profile.threads == 1
    assert len(profile.table.blocks) == 9
