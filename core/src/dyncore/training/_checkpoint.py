"""Checkpoints: folders of safetensors and JSON that move into place whole."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

STATE_FILE = "state.json"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come; randomness follows from it and from the seed."""

    step: int
    """Optimiser steps taken."""
    phase: int
    """Index of the phase of the last step."""
    seed: int
    """The run's seed."""


def save_checkpoint(
    folder: Path, progress: Progress, *, tensors: dict[str, Tensor], optimizer: dict[str, Any]
) -> Path:
    """Write ``folder/step-NNNNNNNN``: complete before it gets its name.

    ``tensors`` is the state of model and objective, ``optimizer`` its ``state_dict()``.
    """
    target = folder / f"step-{progress.step:08d}"
    temporary = folder / f".{target.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _write(temporary, progress, tensors, optimizer)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _write(
    folder: Path, progress: Progress, tensors: dict[str, Tensor], optimizer: dict[str, Any]
) -> None:
    save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "training.safetensors")
    buffers, settings = _split(optimizer)
    save_file(buffers, folder / "optimizer.safetensors")
    state = {"progress": asdict(progress), "optimizer": settings}
    (folder / STATE_FILE).write_text(json.dumps(state, indent=2), encoding="utf-8")


def load_checkpoint(
    checkpoint: Path,
) -> tuple[Progress, dict[str, Tensor], dict[str, Any]]:
    """Progress, tensors and optimiser state of a checkpoint."""
    state = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    optimizer = state["optimizer"]
    optimizer["state"] = {int(key): dict(value) for key, value in optimizer["state"].items()}
    for name, tensor in load_file(checkpoint / "optimizer.safetensors").items():
        key, _, field = name.partition(".")
        optimizer["state"].setdefault(int(key), {})[field] = tensor
    return (
        Progress(**state["progress"]),
        load_file(checkpoint / "training.safetensors"),
        optimizer,
    )


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in ``folder``, oldest first."""
    return sorted(folder.glob("step-*"))


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints, and what a killed run left half written."""
    for old in [*checkpoints(folder)[:-keep], *folder.glob(".step-*")]:
        shutil.rmtree(old)


def _split(optimizer: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by ``<parameter>.<field>``, and everything else as JSON."""
    tensors, state = {}, {}
    for key, fields in optimizer["state"].items():
        state[str(key)] = {k: v for k, v in fields.items() if not torch.is_tensor(v)}
        for field, value in fields.items():
            if torch.is_tensor(value):
                tensors[f"{key}.{field}"] = value.contiguous()
    return tensors, {"state": state, "param_groups": optimizer["param_groups"]}
