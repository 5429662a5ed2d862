import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dyncore.cost import global_batch, global_mean

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes computed."""
    folder = tmp_path_factory.mktemp("two_processes")
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder],
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def one():
    """What one process computes on the whole batch."""
    return runpy.run_path(str(SCRIPT))["step"](0, 1)


LOSSES = ["mean", "execution rate", "FLOPs ratio", "batch", "transposed batch"]


@pytest.mark.parametrize("loss", LOSSES)
def test_averaged_gradients_equal_those_of_one_process(one, two, loss):
    averaged = (two[0][loss][1] + two[1][loss][1]) / 2

    assert one[loss][1].abs().max() > 1e-3
    torch.testing.assert_close(averaged, one[loss][1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_process_sees_the_loss_of_the_whole_batch(one, two, loss):
    for process in two:
        torch.testing.assert_close(process[loss][0], one[loss][0], rtol=1e-12, atol=1e-14)


def test_the_shares_alone_would_not_do(one, two):
    """The processes' own gradients differ, so the average is what is tested above."""
    for loss in LOSSES:
        assert not two[0][loss][1].allclose(two[1][loss][1], rtol=1e-3)


def test_one_process_gets_its_own_tensor_back():
    x = torch.randn(3, 2, requires_grad=True)

    assert global_mean(x) is x
    assert global_batch(x) is x
