"""Under which of its names a file has the tensors of a backbone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dyncore.files import printable
from dyncore.hub import ModelFileError
from dyncore.network import converted_weight

ORIGINAL = "original."
"""In front of all names of an adopted network."""
COUNTERS = "num_batches_tracked"


@dataclass(frozen=True)
class Fitted:
    """A file's tensors under the names of a backbone, and what it does not have."""

    tensors: dict[str, Tensor]
    fresh: tuple[str, ...]
    """Names of the last layer, where the file has other classes, or none."""
    converted: bool
    """Whether the first convolution was made for another number of channels."""


def best_prefix(names: Iterable[str], backbone: Iterable[str]) -> tuple[str, int]:
    """What stands in front of the backbone's names in the file, and how many of them it has."""
    wanted = [name.removeprefix(ORIGINAL) for name in backbone]
    found = Counter(
        name[: len(name) - len(own)]
        for own in wanted
        for name in names
        if name == own or name.endswith(f".{own}")
    )
    return found.most_common(1)[0] if found else ("", 0)


def fitted(
    found: Mapping[str, Tensor], backbone: Mapping[str, Tensor], in_channels: int, source: str
) -> Fitted:
    """The file's tensors under the names of ``backbone``, whose own tell shapes.

    A prefix is taken off. The last layer stays fresh where the file has one of other classes, or
    none; a first convolution for other images is converted. Raises :class:`ModelFileError`, which
    names tensors, for anything else that is missing, left over, or of another shape.
    """
    front = ORIGINAL if all(name.startswith(ORIGINAL) for name in backbone) else ""
    wanted = {name.removeprefix(front): tensor for name, tensor in backbone.items()}
    prefix, _ = best_prefix(found, wanted)
    own = {n.removeprefix(prefix): tensor for n, tensor in found.items() if n.startswith(prefix)}
    head = _head_of(wanted)
    tensors: dict[str, Tensor] = {}
    fresh: list[str] = []
    problems: list[str] = []
    converted = False
    for name, expected in wanted.items():
        tensor = own.pop(name, None)
        if tensor is None:
            if name.endswith(COUNTERS):
                tensors[name] = torch.zeros(expected.shape, dtype=expected.dtype)
            elif name in head:
                fresh.append(front + name)
            else:
                problems.append(f"{name} is missing")
        elif tensor.shape == expected.shape:
            tensors[name] = tensor
        elif name in head and tensor.shape[1:] == expected.shape[1:]:
            fresh.append(front + name)
        elif _is_first(tensor, expected, in_channels):
            tensors[name], converted = converted_weight(tensor, in_channels), True
        else:
            shapes = tuple(tensor.shape), tuple(expected.shape)
            problems.append(f"{name} has shape {shapes[0]}, expected {shapes[1]}")
    parents = {name.partition(".")[0] for name in head}
    others = ("routers.", "gates.") if prefix == "" else ()
    problems += [
        f"{printable(name)} is not in the backbone"
        for name in own
        if name.partition(".")[0] not in parents and not name.startswith(others)
    ]
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelFileError(
            f"the weights of {source} do not fit the model: {'; '.join(sorted(problems)[:8])}{more}"
        )
    return Fitted({front + name: t for name, t in tensors.items()}, tuple(fresh), converted)


def _head_of(wanted: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names of the last layer's tensors."""
    last = [name for name in wanted if not name.endswith(COUNTERS)][-1].rpartition(".")[0]
    return tuple(name for name in wanted if name.rpartition(".")[0] == last)


def _is_first(tensor: Tensor, expected: Tensor, in_channels: int) -> bool:
    """Whether it is a first convolution's weights for images of other channels."""
    other = tensor.shape[:1] + tensor.shape[2:] == expected.shape[:1] + expected.shape[2:]
    return tensor.ndim == 4 and other and expected.shape[1] == in_channels
