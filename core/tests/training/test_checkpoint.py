"""Checkpoints come back as they were, or not at all."""

import dataclasses
import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from dyncore.training import StorageError
from dyncore.training import _checkpoint as checkpoint_module
from dyncore.training._checkpoint import (
    Checkpoint,
    Progress,
    checkpoints,
    damage_of,
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


def checkpoint(step, model, optimizer) -> Checkpoint:
    progress = Progress(step=step, phase=1, seed=7, data="digits")
    return Checkpoint(progress, model.state_dict(), optimizer)


def save(folder, step=2, model=None, optimizer=None):
    if model is None:
        model, optimizer = trained()
    return save_checkpoint(folder, checkpoint(step, model, optimizer.state_dict()))


def test_paths_that_were_evaluated_are_kept_apart_from_the_weights(tmp_path):
    model, optimizer = trained()
    paths = torch.randint(256, (7, 2), dtype=torch.uint8)
    whole = dataclasses.replace(checkpoint(2, model, optimizer.state_dict()), paths=paths)
    loaded = load_checkpoint(save_checkpoint(tmp_path, whole))
    assert torch.equal(loaded.paths, paths)
    assert loaded.tensors.keys() == model.state_dict().keys()
    assert load_checkpoint(save(tmp_path, 3)).paths is None


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_goes_on_as_if_nothing_had_happened(tmp_path, momentum):
    model, optimizer = trained(momentum)
    saved = save(tmp_path, 2, model, optimizer)
    loaded = load_checkpoint(saved)
    assert saved.name == "step-00000002"
    assert loaded.progress == Progress(step=2, phase=1, seed=7, data="digits")

    resumed, _ = trained(momentum)
    for parameter in resumed.parameters():
        nn.init.zeros_(parameter)
    fresh = torch.optim.SGD(resumed.parameters(), lr=1.0)
    resumed.load_state_dict(loaded.tensors)
    fresh.load_state_dict(loaded.optimizer)
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
        save_checkpoint(tmp_path, checkpoint(2, model, broken))
    assert list(tmp_path.iterdir()) == [first]
    assert load_checkpoint(first).progress.step == 1


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    save(tmp_path, 3)
    model, optimizer = trained()
    step(model, optimizer)
    save(tmp_path, 3, model, optimizer)
    assert torch.equal(
        load_checkpoint(checkpoints(tmp_path)[0]).tensors["0.weight"],
        model.state_dict()["0.weight"],
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


def bit_flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 3)


@pytest.mark.parametrize("damage", [bit_flipped, truncated, Path.unlink])
@pytest.mark.parametrize(
    "name", ["training.safetensors", "optimizer.safetensors", "state.json", "SHA256SUMS"]
)
def test_any_damage_to_any_file_is_seen(tmp_path, damage, name):
    saved = save(tmp_path)
    assert damage_of(saved) is None
    damage(saved / name)
    assert damage_of(saved) is not None


def test_the_damage_is_told(tmp_path):
    saved = save(tmp_path)
    bit_flipped(saved / "state.json")
    assert damage_of(saved) == "state.json has another checksum than when it was written"
    (saved / "state.json").unlink()
    assert damage_of(saved) == "state.json is missing"
    (saved / "SHA256SUMS").write_text("")
    assert damage_of(saved).startswith("SHA256SUMS does not list optimizer.safetensors, state")
    (saved / "SHA256SUMS").write_bytes(b"\xff")
    assert damage_of(saved).startswith("it cannot be read: ")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_the_checksums_are_those_of_sha256sum(tmp_path):
    saved = save(tmp_path)
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=saved, capture_output=True)
    assert checked.returncode == 0
    assert checked.stdout.count(b": OK") == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "write_text", "save_file", "fsync", "replace"])
def test_what_the_disk_refuses_leaves_the_earlier_ones(tmp_path, monkeypatch, number, call):
    first = save(tmp_path, 1)
    before = {file.name: file.read_bytes() for file in first.iterdir()}

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    def refuse_safely(*_arguments: object) -> None:
        raise SafetensorError(f"I/O error: {os.strerror(number)}")

    with monkeypatch.context() as patch:
        if call == "save_file":
            patch.setattr(checkpoint_module, "save_file", refuse_safely)
        else:
            patch.setattr(Path if call in ("mkdir", "write_text") else os, call, refuse)
        with pytest.raises(StorageError) as raised:
            save(tmp_path, 2)
    message = str(raised.value)
    assert message.startswith(f"cannot write {tmp_path / 'step-00000002'}: ")
    assert os.strerror(number) in message
    assert "go on with --resume auto; earlier checkpoints are as they were" in message
    assert list(tmp_path.iterdir()) == [first]
    assert {file.name: file.read_bytes() for file in first.iterdir()} == before
    assert damage_of(save(tmp_path, 2)) is None


def test_a_disk_that_is_really_full(tmp_path):
    """Two tensors go onto a file system of 64 KiB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        first = save(disk, 1)
        progress = Progress(step=2, phase=1, seed=7, data="digits")
        tensors = {"weight": torch.zeros(10**5)}
        large = Checkpoint(progress, tensors, {"state": {}, "param_groups": []})
        with pytest.raises(StorageError, match="No space left on device"):
            save_checkpoint(disk, large)
        assert list(disk.iterdir()) == [first]
        assert damage_of(first) is None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    first = save(tmp_path, 1)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StorageError, match="Permission denied"):
            save(tmp_path, 2)
    finally:
        tmp_path.chmod(0o755)
    assert list(tmp_path.iterdir()) == [first]
