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

from dyncore.training._checksums import find_damage, write_checksums
from dyncore.training._storage import sync, writing

STATE_FILE = "state.json"
TENSOR_FILES = ("training.safetensors", "optimizer.safetensors")
_ASIDE = "damaged-"
_PATHS = "evaluation/paths"
"""Beside the tensors of model and objective, whose names begin with theirs."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come; randomness follows from it and from the seed."""

    step: int
    """Optimiser steps taken."""
    phase: int
    """Index of the phase of the last step."""
    seed: int
    """The run's seed."""
    data: str
    """Fingerprint of the data set."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on."""

    progress: Progress
    tensors: dict[str, Tensor]
    """State of model and objective."""
    optimizer: dict[str, Any]
    """The optimiser's ``state_dict()``."""
    paths: Tensor | None = None
    """What :class:`PathChanges` remembers; None before the first evaluation."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of ``step`` steps lies."""
    return folder / f"step-{step:08d}"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``folder/step-NNNNNNNN``: complete, with checksums, before it gets its name.

    Raises StorageError if it cannot be written; what was there before stays.
    """
    target = checkpoint_path(folder, checkpoint.progress.step)
    temporary = folder / f".{target.name}.{os.getpid()}"
    try:
        with writing(target):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            _write(temporary, checkpoint)
            sync(temporary)
            _remove(target)
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    optimizer, settings = _split(checkpoint.optimizer)
    training = dict(checkpoint.tensors)
    if checkpoint.paths is not None:
        training[_PATHS] = checkpoint.paths
    for file, named in zip(TENSOR_FILES, (training, optimizer), strict=True):
        save_file({name: tensor.contiguous() for name, tensor in named.items()}, folder / file)
    state = {"progress": asdict(checkpoint.progress), "optimizer": settings}
    (folder / STATE_FILE).write_text(json.dumps(state, indent=2), encoding="utf-8")
    write_checksums(folder)


def load_checkpoint(folder: Path) -> Checkpoint:
    """What :func:`save_checkpoint` wrote; see :func:`damage_of` for whether it still is."""
    state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    tensors, buffers = (load_file(folder / file) for file in TENSOR_FILES)
    optimizer = state["optimizer"]
    optimizer["state"] = {int(key): dict(value) for key, value in optimizer["state"].items()}
    for name, tensor in buffers.items():
        key, _, field = name.partition(".")
        optimizer["state"].setdefault(int(key), {})[field] = tensor
    paths = tensors.pop(_PATHS, None)
    return Checkpoint(Progress(**state["progress"]), tensors, optimizer, paths)


def damage_of(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint's files; None: they are as they were written."""
    return find_damage(checkpoint, {STATE_FILE, *TENSOR_FILES})


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, oldest first."""
    return sorted(folder.glob("step-*"))


def set_aside(checkpoint: Path) -> None:
    """Rename a damaged checkpoint: it is kept for people to look at, and never used again."""
    target = checkpoint.with_name(_ASIDE + checkpoint.name)
    with writing(target):
        _remove(target)
        os.replace(checkpoint, target)


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints, and what a killed run left half written."""
    with writing(folder):
        for old in checkpoints(folder)[:-keep]:
            _remove(old)
    for left_over in folder.glob(".step-*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Delete a folder, if there is one, so that no half of it is ever seen under its name."""
    if folder.exists():
        going = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(going, ignore_errors=True)
        os.replace(folder, going)
        shutil.rmtree(going, ignore_errors=True)


def _split(optimizer: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by ``<parameter>.<field>``, and everything else as JSON."""
    tensors, state = {}, {}
    for key, fields in optimizer["state"].items():
        state[str(key)] = {k: v for k, v in fields.items() if not torch.is_tensor(v)}
        for field, value in fields.items():
            if torch.is_tensor(value):
                tensors[f"{key}.{field}"] = value
    return tensors, {"state": state, "param_groups": optimizer["param_groups"]}
