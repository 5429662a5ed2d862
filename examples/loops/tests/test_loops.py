"""Both scripts, run as they stand, for a few steps."""

import sys
from pathlib import Path

import pytest
import torch

import dyncore

sys.path.insert(0, str(Path(__file__).parents[1]))
import plain_pytorch
import with_accelerate


@pytest.fixture(autouse=True)
def few_images(monkeypatch) -> None:
    """A tenth of the digits."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    whole = plain_pytorch.load_digits

    def some():
        digits = whole()
        digits.images, digits.target = digits.images[:180], digits.target[:180]
        return digits

    monkeypatch.setattr(plain_pytorch, "load_digits", some)
    split = torch.utils.data.random_split
    monkeypatch.setattr(
        plain_pytorch.torch.utils.data,
        "random_split",
        lambda data, sizes, generator: split(data, (100, 40, 40), generator),
    )


def test_plain_pytorch(tmp_path, capsys):
    model = plain_pytorch.main("rdinet-resnet20-cifar", 2, str(tmp_path))
    said = capsys.readouterr().out
    assert "epoch 1, warm-up" in said
    assert "epoch 2, train" in said
    loaded = dyncore.from_pretrained(tmp_path)
    assert loaded.setting == model.setting
    assert loaded.setting is not None


def test_with_accelerate(capsys):
    before = dyncore.create_model("dmnn-resnet20-cifar-n2")
    model = with_accelerate.main("dmnn-resnet20-cifar-n2", 1)
    assert "epoch 1: loss" in capsys.readouterr().out
    assert model.routers["1"].history.weight.shape == before.routers["1"].history.weight.shape
    assert all(p.isfinite().all() for p in model.parameters())
