"""Synchronised norms make two processes train as one, statistics included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor, nn

from dyncore.training import RunOptions, train
from dyncore.training._processes import synchronise_norms
from dyncore.training._trainer import Trainer

SCRIPT = Path(__file__).with_name("synchronised.py")


def test_without_a_gpu_it_is_refused(static, tmp_path):
    with pytest.raises(ValueError, match=r"sync_batch_norm needs GPUs, but this process .* cpu"):
        train(static(), RunOptions(output=str(tmp_path / "runs"), sync_batch_norm=True))
    assert not (tmp_path / "runs").exists()


def test_every_norm_is_synchronised_and_keeps_its_parameters(vanilla, tmp_path):
    trainer = Trainer(vanilla(), RunOptions(output=str(tmp_path)))
    before = trainer.step_module.state_dict(keep_vars=True)
    learnable = list(trainer.step_module.learnable)
    synchronise_norms(trainer.step_module)
    norms = [
        module
        for module in trainer.step_module.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    assert len(norms) > 4
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    after = trainer.step_module.state_dict(keep_vars=True)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert {id(p) for p in trainer.step_module.parameters()} >= {id(p) for p in learnable}


def states(folder: Path, *, processes: int, synchronised: bool) -> list[dict[str, Tensor]]:
    """What each process ends with."""
    folder.mkdir()
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), str(synchronised)],
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": str(processes)},
        )
        for rank in range(processes)
    ]
    assert [process.wait(300) for process in running] == [0] * processes
    return [load_file(folder / f"{rank}.safetensors") for rank in range(processes)]


def largest_difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


@pytest.mark.needs_gpu  # PyTorch synchronises norms on CUDA only
def test_two_processes_have_the_statistics_of_one(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="digits need scikit-learn")
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    (one,) = states(tmp_path / "one", processes=1, synchronised=False)
    for two in states(tmp_path / "two", processes=2, synchronised=True):
        assert largest_difference(two, one) < 1e-9
    apart = states(tmp_path / "apart", processes=2, synchronised=False)
    assert largest_difference(apart[0], one) > 1e-4
