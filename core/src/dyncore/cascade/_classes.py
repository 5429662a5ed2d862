"""Members that answer for the same classes, each in its own order."""

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from dyncore.cascade._member import Member


def common_size(members: Sequence[Member], order: tuple[str, ...] | None) -> int | None:
    """The number of classes, if it is known. Raises ValueError where members differ."""
    sizes = {member.name: member.num_classes for member in members if member.num_classes}
    if order is not None:
        sizes["the class names"] = len(order)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ValueError(f"the members answer for different numbers of classes ({listed})")
    if 1 in sizes.values():
        raise ValueError("a cascade needs at least two classes: one alone is always sure")
    return next(iter(sizes.values()), None)


def columns_of(member: Member, order: tuple[str, ...] | None) -> Int[Tensor, "classes"] | None:
    """Which logit of the member belongs to each class; None: they stand in order already.

    A warning says so where they do not. Raises ValueError for other names than ``order`` has.
    """
    if member.classes is None or order is None or member.classes == order:
        return None
    if missing := [name for name in order if name not in member.classes]:
        other = [name for name in member.classes if name not in order]
        raise ValueError(
            f"{member.name} does not know the classes {', '.join(missing[:5])}, but "
            f"{', '.join(other[:5])}: all members must answer for the same classes"
        )
    warnings.warn(
        f"the classes of {member.name} stand in another order than the cascade's: its logits are "
        "permuted to it, by name",
        stacklevel=3,
    )
    return torch.tensor([member.classes.index(name) for name in order])
