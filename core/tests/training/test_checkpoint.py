"""Checkpoints come back as they were, or not at all."""

import pytest
import torch
from torch import nn

from dyncore.training._checkpoint import (
    Progress,
    checkpoints,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)


def trained(momentum: float = 0.9) -> tuple[nn.Module, torch.optim.SGD]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum, weight_decay=0.01)
    for _ in range(2):
        step(model, optimizer)
    return model, optimizer


def step(model: nn.Module, optimizer: torch.optim.SGD) -> None:
    optimizer.zero_grad()
    model(torch.linspace(-1, 1, 96).view(2, 3, 4, 4)).square().mean().backward()
    optimizer.step()


def save(folder, step=2, model=None, optimizer=None):
    if model is None:
        model, optimizer = trained()
    return save_checkpoint(
        folder,
        Progress(step=step, phase=1, seed=7),
        tensors=model.state_dict(),
        optimizer=optimizer.state_dict(),
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_goes_on_as_if_nothing_had_happened(tmp_path, momentum):
    model, optimizer = trained(momentum)
    saved = save(tmp_path, 2, model, optimizer)
    progress, tensors, state = load_checkpoint(saved)
    assert (saved.name, progress) == ("step-00000002", Progress(step=2, phase=1, seed=7))

    resumed, _ = trained(momentum)
    for parameter in resumed.parameters():
        nn.init.zeros_(parameter)
    fresh = torch.optim.SGD(resumed.parameters(), lr=1.0)
    resumed.load_state_dict(tensors)
    fresh.load_state_dict(state)
    assert fresh.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    step(model, optimizer)
    step(resumed, fresh)
    for name, tensor in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_a_failing_save_leaves_nothing_and_keeps_the_earlier_ones(tmp_path, monkeypatch):
    first = save(tmp_path, 1)
    model, optimizer = trained()
    broken = optimizer.state_dict()
    broken["param_groups"][0]["lr"] = object()  # no JSON: fails after the tensors are written
    with pytest.raises(TypeError):
        save_checkpoint(
            tmp_path,
            Progress(step=2, phase=1, seed=7),
            tensors=model.state_dict(),
            optimizer=broken,
        )
    assert list(tmp_path.iterdir()) == [first]
    assert load_checkpoint(first)[0].step == 1


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    save(tmp_path, 3)
    model, optimizer = trained()
    step(model, optimizer)
    save(tmp_path, 3, model, optimizer)
    assert torch.equal(
        load_checkpoint(checkpoints(tmp_path)[0])[1]["0.weight"], model.state_dict()["0.weight"]
    )


def test_the_newest_stay(tmp_path):
    for number in (9, 10, 100, 99):
        save(tmp_path, number)
    (tmp_path / ".step-00000101.1").mkdir()  # what a killed run leaves
    assert [path.name[-3:] for path in checkpoints(tmp_path)] == ["009", "010", "099", "100"]
    prune_checkpoints(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000099", "step-00000100"]
    prune_checkpoints(tmp_path, keep=5)
    assert len(checkpoints(tmp_path)) == 2


def test_a_missing_folder_has_no_checkpoints(tmp_path):
    assert checkpoints(tmp_path / "nothing") == []
