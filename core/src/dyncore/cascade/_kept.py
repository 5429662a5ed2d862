"""Predictions kept on disk, so that no network runs twice over the same images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dyncore.calibration import Batches
from dyncore.cascade._member import Member
from dyncore.cascade._predictions import Ask, Predictions, predict
from dyncore.data import FileSplit, MemorySplit, Preprocessing, Split
from dyncore.files import cache_folder, replacing
from dyncore.network import DynamicNetwork

LOOKED_AT = 64
"""Images of a split that is decoded as it is read, by which it is known again."""


@dataclass(frozen=True)
class Kept:
    """A folder of predictions, by network and data."""

    folder: Path

    def read(self, key: str) -> Predictions | None:
        """What was written under this key; None: nothing, or a file that is damaged."""
        try:
            found = load_file(self._file(key))
            return Predictions(found["logits"], found.get("macs"))
        except (OSError, SafetensorError, KeyError):
            return None

    def write(self, key: str, predictions: Predictions) -> None:
        """Keep predictions under a key."""
        tensors = {"logits": predictions.logits.contiguous()}
        if predictions.macs is not None:
            tensors["macs"] = predictions.macs.contiguous()
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._file(key)) as temporary:
            save_file(tensors, temporary)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def users_cache() -> Path:
    """Where predictions are kept if nobody says otherwise."""
    return cache_folder("predictions")


def keys_of(
    members: Sequence[Member], split: Split, classes: Sequence[str], view: Preprocessing
) -> list[str]:
    """What each member's predictions on a split are kept under.

    It covers the weights, the preprocessing and the order of the classes; of the split the labels
    and, where it is in memory, all images, else some of the files. Raises ValueError for a member
    that is no module and has no fingerprint.
    """
    data = hashlib.sha256(repr((tuple(classes), view)).encode())
    _add(data, split.labels)
    if isinstance(split, MemorySplit):
        _add(data, split.images)
    elif isinstance(split, FileSplit):
        step = max(1, len(split) // LOOKED_AT)
        data.update(repr([split.images[row] for row in range(0, len(split), step)]).encode())
    return [_key(member, data.copy()) for member in members]


def _key(member: Member, digest: "hashlib._Hash") -> str:
    digest.update(repr((member.preprocessing, member.classes, member.library)).encode())
    if isinstance(member.run, nn.Module):
        if isinstance(member.run, DynamicNetwork):
            digest.update(repr(member.run.config).encode())
        for name, tensor in member.run.state_dict().items():
            digest.update(name.encode())
            _add(digest, tensor)
    elif member.fingerprint is not None:
        digest.update(member.fingerprint.encode())
    else:
        raise ValueError(f"{member.name} has no fingerprint to keep its predictions under")
    return digest.hexdigest()[:40]


def _add(digest: "hashlib._Hash", tensor: Tensor) -> None:
    digest.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
    digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())


def predict_kept(
    asks: Sequence[Ask], keys: Sequence[str], kept: Kept, labels: Tensor, batches: Batches
) -> list[Predictions]:
    """Every member's predictions: those that are kept, and the others' in one run over the data."""
    found = [kept.read(key) for key in keys]
    missing = [index for index, predictions in enumerate(found) if predictions is None]
    if missing:
        answers = predict([asks[index] for index in missing], batches, lambda images: None)
        if not torch.equal(answers.labels, labels.cpu().long()):
            raise ValueError("the batches' labels are not those of the split, in its order")
        for index, predictions in zip(missing, answers.members, strict=True):
            kept.write(keys[index], predictions)
            found[index] = predictions
    return [predictions for predictions in found if predictions is not None]
