"""What one gate decided for a batch of images.

These are named tuples, since that is what torch and others look into: ``torch.export``, FSDP's
hooks, DataParallel's gather, accelerate.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dyncore.gating._pytree import register_result

Parts = TypeVar("Parts", "Choice", "Relaxation", "Decision")


class Choice(NamedTuple):
    """Which of some units, paths or channels, are computed, and what multiplies each."""

    on: Bool[Tensor, "batch unit"]
    """Whether the unit is computed."""
    weight: Float[Tensor, "batch unit"]
    """What multiplies it: relaxed v, straight-through value, or salience (S_L, S_C)."""

    @classmethod
    def of(cls, on: Bool[Tensor, "batch unit"], dtype: torch.dtype | None = None) -> "Choice":
        """The choice whose weights are its 0s and 1s."""
        return cls(on, on.to(dtype or torch.get_default_dtype()))


def straight_through(
    hard: Bool[Tensor, "batch unit"] | Int[Tensor, "batch unit"],
    relaxed: Float[Tensor, "batch unit"],
) -> Float[Tensor, "batch unit"]:
    """The value of ``hard`` with the gradient of ``relaxed`` (CDB Eq. 9, DMNN Eq. 8)."""
    return hard.to(relaxed.dtype) + (relaxed - relaxed.detach())


class Relaxation(NamedTuple):
    """What training knows beside a relaxed decision: the hard one that evaluation would take."""

    paths: Float[Tensor, "batch path"]
    """The 0 or 1 of each path without noise, with a gradient."""
    channels: Float[Tensor, "batch channel"] | None = None
    """The same of gated channels."""
    margin: Float[Tensor, "batch path"] | None = None
    """On-logit minus off-logit, without noise; None: no logits decided."""


class Decision(NamedTuple):
    """The decisions of one block: a choice of its paths, and of its channels where they are gated.

    Losses read the weights; costs, rates, files and skipping read ``on``. In hard decisions
    weights equal ``on``, except for ReLU-1 gates, whose clamped score keeps scaling.
    """

    paths: Choice
    channels: Choice | None = None
    """Of the output channels of the block's first convolution; None: not gated."""
    training: Relaxation | None = None
    """None: the decision is what evaluation would take."""

    @classmethod
    def of(
        cls,
        on: Bool[Tensor, "batch path"],
        channel_on: Bool[Tensor, "batch channel"] | None = None,
        *,
        dtype: torch.dtype | None = None,
    ) -> "Decision":
        """The decision whose weights are its 0s and 1s."""
        channels = None if channel_on is None else Choice.of(channel_on, dtype)
        return cls(Choice.of(on, dtype), channels)

    @classmethod
    def always_on(cls, x: Float[Tensor, "batch ..."], paths: int) -> "Decision":
        """Every one of ``paths`` on, for every image of ``x``."""
        on = torch.ones(x.shape[0], paths, dtype=torch.bool, device=x.device)
        return cls.of(on, dtype=x.dtype)

    @property
    def all_on(self) -> "Decision":
        """The same with every path on, and every channel where they are gated."""
        channels = None if self.channels is None else torch.ones_like(self.channels.on)
        return Decision.of(torch.ones_like(self.on), channels, dtype=self.weight.dtype)

    @property
    def on(self) -> Bool[Tensor, "batch path"]:
        """Which paths are computed."""
        return self.paths.on

    @property
    def weight(self) -> Float[Tensor, "batch path"]:
        """What multiplies each path."""
        return self.paths.weight

    @property
    def choices(self) -> tuple[Choice, ...]:
        """That of the paths, and that of the channels where they are gated."""
        return (self.paths,) if self.channels is None else (self.paths, self.channels)

    @property
    def as_evaluated(self) -> "Decision":
        """The same with the weights that evaluation would give: 0 or 1, without noise."""
        if self.training is None:
            return self
        channels = None
        if self.channels is not None and self.training.channels is not None:
            channels = Choice(self.channels.on, self.training.channels)
        return self._replace(paths=Choice(self.paths.on, self.training.paths), channels=channels)

    def map(self, change: Callable[..., Tensor], *others: "Decision") -> "Decision":
        """``change`` of every tensor, together with the same tensor of each of ``others``.

        Raises ValueError where one of them has a tensor that another one lacks.
        """
        return _map(change, self, *others)

    def images(self, images: slice | Tensor) -> "Decision":
        """The same decision for some of the images."""
        return self.map(lambda values: values[images])


def _map(change: Callable[..., Tensor], first: Parts, *others: Parts) -> Parts:
    changed: list[Any] = []
    for name, *values in zip(first._fields, first, *others, strict=True):
        absent = [value is None for value in values]
        if any(absent) and not all(absent):
            raise ValueError(f"decisions are not alike: {name} stands in some of them only")
        if all(absent):
            changed.append(None)
        else:
            leaf = isinstance(values[0], Tensor)
            changed.append(change(*values) if leaf else _map(change, *values))
    return type(first)._make(changed)


for _result in (Choice, Relaxation, Decision):
    register_result(_result, _result._make)
