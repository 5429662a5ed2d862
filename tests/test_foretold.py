"""What the benchmark of foretold doubt counts."""

import importlib
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="module")
def foretold():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        yield importlib.import_module("foretold")


def test_own_doubt_catches_all_that_it_can_and_chance_nothing(foretold):
    small = torch.tensor([True, True, False, False, True])
    whole = torch.tensor([True, True, True, True, False])
    doubts = {
        "own": torch.tensor([0.1, 0.2, 0.9, 0.8, 0.3]),
        "2/head": torch.tensor([0.1, 0.2, 0.9, 0.3, 0.8]),
        "0/taught": torch.tensor([0.9, 0.8, 0.1, 0.2, 0.3]),
    }
    found = {(r["kind"], r["block"]): r for r in foretold.rows(small, whole, doubts, (0.2, 0.4))}
    assert found["own", None]["accuracies"] == pytest.approx([0.8, 1.0])
    assert found["own", None]["caught"] == pytest.approx(1)
    assert found["head", 2]["accuracies"] == pytest.approx([0.8, 0.6])
    assert found["taught", 0]["accuracies"] == pytest.approx([0.6, 0.6])
    # by chance 0.2 of the images gain 0.2 of what the whole network gains, 0.64 and 0.68
    assert found["random", None]["accuracies"] == pytest.approx([0.64, 0.68])
    assert found["head", 2]["caught"] == pytest.approx((0.16 - 0.08) / (0.16 + 0.32))
    assert found["taught", 0]["caught"] < 0


def test_nobody_goes_on_at_share_zero_and_all_do_at_one(foretold):
    right = torch.rand(2, 50) < 0.5
    doubts = torch.rand(50)
    for share, answers in ((0.0, right[0]), (1.0, right[1])):
        found = foretold.going_on(doubts, share, right[0], right[1])
        assert found == pytest.approx(float(answers.double().mean()))


def test_a_head_learns_which_images_the_small_path_fails(foretold):
    labels = torch.tensor([0, 1])
    small = torch.tensor([[9.0, 0.0], [9.0, 0.0]])  # right and sure, wrong and sure
    said = torch.zeros(2, 1, requires_grad=True)
    foretold.error("taught", said, small, labels).backward()
    assert said.grad[0] > 0 > said.grad[1]
    assert foretold.doubt("taught", torch.tensor([[1.0], [2.0]])).argmax() == 1
    assert foretold.doubt("head", torch.tensor([[9.0, 0.0], [1.0, 0.0]])).argmax() == 1
