"""A saved cascade: a folder of its members, and ``cascade.json``."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from dyncore.adopt import Library
from dyncore.cascade._member import Member
from dyncore.cascade._policy import Policy
from dyncore.data import Preprocessing
from dyncore.files import replacing
from dyncore.gating import config_to_dict
from dyncore.hub import CASCADE_FILE, CONFIG_FILE, MEMBERS, WEIGHTS_FILE
from dyncore.network import DialSetting, DynamicNetwork, ModelInfo

FORMAT = 1
"""Version of ``cascade.json``; raised when older readers could misread it."""
MAX_MEMBERS = 10
"""Each has one digit for its folder."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a member is that has no folder: a network inside of another member's."""

    member: int
    """The other member's number."""
    at: int
    """Number of the network inside, as ``DynamicNetwork.at`` has it."""


@dataclass(frozen=True, kw_only=True)
class SavedMember:
    """A member in ``cascade.json``; its weights lie in ``members/N``."""

    name: str
    """What messages and tables call it."""
    weights: str
    """SHA-256 of its weights' file: thresholds hold for these weights only."""
    preprocessing: Preprocessing | None
    """What its images go through."""
    classes: tuple[str, ...] | None
    """Name of each class, in the order of its logits."""
    library: Library | None
    """None: a network of ours, whose folder has a ``config.json``."""
    inside: Place | None = None
    """None: it has a folder of its own."""
    setting: DialSetting | None = None
    """Of a routed network that is inside of another member, as itself: where its dial stands."""


@dataclass(frozen=True, kw_only=True)
class SavedCascade:
    """The content of ``cascade.json``, but for its format and versions."""

    members: tuple[SavedMember, ...]
    """In the order in which they are asked."""
    classes: tuple[str, ...] | None
    """Name of each class, in the order of the answer."""
    policy: Policy
    """When an image goes on."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Measured when it was saved."""
    dataset: str | None = None
    """Name of the data set that the metrics were measured on."""


def save_cascade(
    folder: str | os.PathLike[str], members: Sequence[Member], policy: Policy, info: ModelInfo
) -> None:
    """Write the members' folders, and ``cascade.json`` last: without it the folder is no cascade.

    Raises ValueError, before anything is written, for too many members, and for one that is neither
    a network of ours nor one of timm or torchvision by name.
    """
    if len(members) > MAX_MEMBERS:
        raise ValueError(
            f"a cascade of {len(members)} members, more than {MAX_MEMBERS}, is not saved"
        )
    for index, member in enumerate(members):
        _check_savable(index, member)
    target = Path(folder)
    (target / CASCADE_FILE).unlink(missing_ok=True)
    places = [_place(index, members) for index in range(len(members))]
    for index, (member, inside) in enumerate(zip(members, places, strict=True)):
        if inside is None:
            _save_network(member, member_folder(target, index))
        else:  # another one that was saved here before may have had a folder
            for file in (CONFIG_FILE, WEIGHTS_FILE):
                (member_folder(target, index) / file).unlink(missing_ok=True)
    saved = [
        SavedMember(
            name=member.name,
            weights=sha256(weights_of(target, index, inside)),
            preprocessing=member.preprocessing,
            classes=member.classes,
            library=member.library,
            inside=inside,
            setting=_setting(member) if inside is not None else None,
        )
        for index, (member, inside) in enumerate(zip(members, places, strict=True))
    ]
    described = SavedCascade(
        members=tuple(saved),
        classes=info.classes,
        policy=policy,
        metrics=info.metrics,
        dataset=info.dataset,
    )
    packages = {"dyncore", *(m.library.package for m in members if m.library is not None)}
    content = {
        "format": FORMAT,
        "requires": {package: version(package) for package in sorted(packages)},
        "cascade": config_to_dict(described),
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    with replacing(target / CASCADE_FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")


def member_folder(folder: Path, index: int) -> Path:
    """Where a member lies."""
    return folder / MEMBERS / str(index)


def weights_of(folder: Path, index: int, inside: Place | None) -> Path:
    """The file of a member's weights."""
    return member_folder(folder, index if inside is None else inside.member) / WEIGHTS_FILE


def _place(number: int, members: Sequence[Member]) -> Place | None:
    """Where it is inside of one of the others; None: in none.

    Of members that are one routed network at several budgets, the last has the folder.
    """
    own = members[number].run
    for index, other in reversed(list(enumerate(members))):
        if isinstance(other.run, DynamicNetwork):
            for at, network in enumerate(other.run.nested):
                if network is own:
                    return Place(member=index, at=at)
            if index > number and _is_copy(own, other.run):
                return Place(member=index, at=len(other.run.nested))
    return None


def _is_copy(network: object, other: DynamicNetwork) -> bool:
    """Whether both are one routed network, with all weights shared; see ``at_setting``."""
    if not isinstance(network, DynamicNetwork) or network.dial is None or other.dial is None:
        return False
    states = [each.state_dict(keep_vars=True).values() for each in (network, other)]
    ours, theirs = ([id(tensor) for tensor in state] for state in states)
    return ours == theirs


def _setting(member: Member) -> DialSetting | None:
    return member.run.setting if isinstance(member.run, DynamicNetwork) else None


def sha256(file: Path) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _check_savable(index: int, member: Member) -> None:
    ours = isinstance(member.run, DynamicNetwork)
    named = isinstance(member.run, nn.Module) and member.library is not None
    if (ours or named) and member.preprocessing is not None:
        return
    raise ValueError(
        f"{member.name} (member {index}) cannot be saved: only networks of dyncore can, and those "
        "that timm or torchvision builds by name, with preprocessing. Put the network itself in "
        "the place of an engine or a session; if a library builds it, say so: "
        "Member.of(network, library=Library(package=..., model=..., num_classes=...))"
    )


def _save_network(member: Member, folder: Path) -> None:
    if isinstance(member.run, DynamicNetwork):
        member.run.save_pretrained(folder)
        return
    assert isinstance(member.run, nn.Module)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().clone().contiguous() for name, t in member.run.state_dict().items()}
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file(tensors, temporary, {"format": "pt"})
