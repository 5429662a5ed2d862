"""Members in the form in which they run, and what they say in their turn."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Said(NamedTuple):
    """A member's answer."""

    logits: Float[Tensor, "batch classes"]
    macs: Int[Tensor, "batch"] | None
    """Of each image; None: nobody knows them."""
    features: Float[Tensor, "batch channel height width"] | None = None
    """What its head read, where it tells."""


@runtime_checkable
class Asked(Protocol):
    """A member of a cascade, as it is or in a faster form."""

    @property
    def rest(self) -> object | None:
        """None: it does not go on from the features of the member before."""

    def ask(self, images: Tensor) -> Said:
        """The answer for images in [0, 1]."""

    def resume(self, features: Tensor) -> Said:
        """The answer for images of which the member before gave these features."""


@torch.no_grad()
def in_turn(members: Sequence[Asked], images: Tensor) -> list[Callable[[], Said]]:
    """How each member is asked where all images go on, and then the last one alone, to be timed."""
    asks: list[Callable[[], Said]] = []
    features: Tensor | None = None
    for member in members:
        if member.rest is not None and features is not None:
            asks.append(partial(member.resume, features))
        else:
            asks.append(partial(member.ask, images))
        features = asks[-1]().features
    return [*asks, partial(members[-1].ask, images)]
