"""Saved models of every kind: networks, and cascades of them."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dyncore.adopt import Library
from dyncore.cascade._cascade import Cascade
from dyncore.cascade._library import build_network
from dyncore.cascade._member import Member
from dyncore.cascade._saving import (
    FORMAT,
    MAX_MEMBERS,
    SavedCascade,
    SavedMember,
    member_folder,
    sha256,
)
from dyncore.files import parse_json
from dyncore.hub import CASCADE_FILE, WEIGHTS_FILE, ModelFileError, find_folder
from dyncore.network import DynamicNetwork, check_layout, load_weights, read_layout, read_tensors
from dyncore.network import from_pretrained as load_network
from dyncore.parts import decode


def from_pretrained(
    source: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> DynamicNetwork | Cascade:
    """A saved network or cascade, in evaluation mode, from a folder or the Hub (``org/name``).

    It has the floating-point type that it was saved with, or ``dtype``, and lies on the CPU, or on
    ``device``. ``revision`` is a branch, tag or commit of the Hub; a commit pins the content.
    ``subfolder`` is where in the repository or folder the model lies. ``local_files_only`` takes
    what the cache has; ``cache_dir`` is another cache, ``token`` another token than the Hub's
    client has.

    ``num_classes`` other than the saved one replaces a network's last linear layer by a fresh one,
    ``in_chans`` the first convolution by one for images of so many channels whose weights are made
    of the saved ones, as timm does; both log that they did, and a cascade has neither. Nothing is
    allocated before the names, shapes and types in the weights' header are
    those of the network that is described.

    Raises FileNotFoundError when there is no such folder or model, :class:`dyncore.HubError` when
    the Hub refuses or fails, and :class:`dyncore.ModelFileError` for files that do not make a
    model: which file, which tensor, or which package to install.
    """
    folder = find_folder(
        source,
        revision,
        subfolder=subfolder,
        local_files_only=local_files_only,
        cache_dir=cache_dir,
        token=token,
    )
    if not (folder / CASCADE_FILE).is_file():
        return load_network(
            folder, num_classes=num_classes, in_chans=in_chans, device=device, dtype=dtype
        )
    if num_classes is not None or in_chans is not None:
        raise ValueError(
            f"{source} is a cascade: its members' heads and first layers are not replaced here; "
            f"load {member_folder(folder, 0)} and the others as networks, and train them"
        )
    return _load_cascade(folder).to(device=device, dtype=dtype)


def _load_cascade(folder: Path) -> Cascade:
    saved = _read(folder / CASCADE_FILE)
    networks = {
        index: _load_network(member, member_folder(folder, index))
        for index, member in enumerate(saved.members)
        if member.inside is None
    }
    try:
        members = [
            _member(m, networks[i] if i in networks else _inside(m, saved, networks))
            for i, m in enumerate(saved.members)
        ]
        cascade = Cascade(
            members,
            classes=saved.classes,
            confidence=saved.policy.confidence,
            answer=saved.policy.answer,
            cap=saved.policy.cap,
        )
        cascade.restore(saved.policy)
    except ValueError as error:
        raise ModelFileError(f"{folder / CASCADE_FILE}: {str(error)[:1000]}") from error
    cascade.info = replace(cascade.info, metrics=saved.metrics, dataset=saved.dataset)
    return cascade


def _read(file: Path) -> SavedCascade:
    try:
        content: Any = parse_json(file.read_bytes())
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read ({error}): fetch it again") from error
    except ValueError as error:
        raise ModelFileError(f"{file} is not valid JSON ({error}): save it again") from error
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int or version != FORMAT:
        raise ModelFileError(
            f"{file} has format {str(version)[:80]}, this dyncore reads {FORMAT}: update dyncore, "
            "or save the cascade again"
        )
    try:
        found = content.get("cascade")
        members = found.get("members") if isinstance(found, dict) else None
        if isinstance(members, list) and len(members) > MAX_MEMBERS:  # before all are decoded
            raise ValueError(f"it has {len(members)} members, more than {MAX_MEMBERS}")
        saved = decode(SavedCascade, found, "cascade")
    except ValueError as error:
        raise ModelFileError(f"{file}: {str(error)[:1000]}") from error
    return saved


def _load_network(saved: SavedMember, folder: Path) -> nn.Module:
    network: nn.Module
    if saved.library is None:
        network = load_network(folder)
    else:
        network = _load_library_network(saved.library, folder)
    if (found := sha256(folder / WEIGHTS_FILE)) != saved.weights:
        raise ModelFileError(
            f"{folder / WEIGHTS_FILE} is not what the cascade was saved with: its SHA-256 is "
            f"{found}, {CASCADE_FILE} says {saved.weights[:64]}. Thresholds hold for the saved "
            "weights only: calibrate a cascade of the new ones and save it"
        )
    return network


def _inside(
    member: SavedMember, saved: SavedCascade, networks: Mapping[int, nn.Module]
) -> DynamicNetwork:
    """A network inside of one that was loaded. Raises ValueError where there is none."""
    assert member.inside is not None
    whole = networks.get(member.inside.member)
    if not isinstance(whole, DynamicNetwork):
        raise ValueError(f"{member.name} is inside of member {member.inside.member}, which is none")
    if member.weights != saved.members[member.inside.member].weights:
        raise ValueError(f"{member.name} was saved with other weights than what it is inside of")
    network = whole.at(member.inside.at)
    return network if network.dial is None else network.at_setting(member.setting)


def _member(saved: SavedMember, network: nn.Module) -> Member:
    return Member.of(
        network,
        name=saved.name,
        preprocessing=saved.preprocessing,
        classes=saved.classes,
        library=saved.library,
    )


def _load_library_network(library: Library, folder: Path) -> nn.Module:
    """Compared with the file's header before memory is taken for it."""
    dtype = check_layout(lambda: build_network(library), read_layout(folder), str(folder))
    network = build_network(library).to(dtype)
    load_weights(network, read_tensors(folder), str(folder))
    return network
