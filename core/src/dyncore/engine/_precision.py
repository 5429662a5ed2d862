"""What an engine computes in, and the check that rounding to bfloat16 costs nothing."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from dyncore.engine._executor import Part
from dyncore.gating import Decision

Precision: TypeAlias = Literal["bf16", "fp32"]
PRECISIONS = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
}
"""Short names of the types that networks have."""

ROUNDING = 2.0**-8
"""The most by which rounding to bfloat16 changes a number, relative to it."""
ERRORS = 2.0
"""Standard errors that a logit may be off."""
CHECKED = 32
"""Images that the default's check looks at, or more: what one image in ten would show, it sees with
a probability of 0.97."""


def checked_images(example: Tensor) -> Tensor:
    """The images of ``example`` and, up to :data:`CHECKED`, random ones.

    Those are mixtures of an image of the example and of noise that has its mean and spread in every
    channel, from hardly any noise to nothing else; without a spread it is 1.
    """
    count = max(0, CHECKED - len(example))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, *example.shape[1:], generator=generator)
    spread, mean = torch.std_mean(example, (0, 2, 3), keepdim=True, correction=0)
    noise = mean + torch.where(spread > 0, spread, 1) * noise
    share = torch.linspace(0, 1, count + 1)[1:, None, None, None]
    images = example[torch.arange(count) % len(example)]
    return torch.cat([example, (1 - share) * images + share * noise])


def logit_bound(layers: int, largest: float) -> float:
    """How far bfloat16 may move a logit: of ``layers`` one after the other, up to ``largest``.

    A layer rounds its inputs and its weights, each by up to :data:`ROUNDING`. Roundings know
    nothing of each other, so what they do to a logit grows with the root of their number.
    """
    return ERRORS * ROUNDING * math.sqrt(layers) * largest


def keeps_answers(rounded: Sequence[Part], exact: Sequence[Part], layers: int) -> bool:
    """Whether bfloat16 gives the same decisions and classes, and logits within the bound."""
    return all(_keeps(*pair, layers) for pair in zip(rounded, exact, strict=True))


def _keeps(rounded: Part, exact: Part, layers: int) -> bool:
    if not all(map(_same_decision, rounded.decisions, exact.decisions)):
        return False
    ours, theirs = rounded.logits, exact.logits
    allowed = logit_bound(layers, float(theirs.abs().max()))
    near = bool(((ours - theirs).abs() <= allowed).all())  # NaN is not near
    return near and torch.equal(ours.argmax(1), theirs.argmax(1))


def _same_decision(a: Decision, b: Decision) -> bool:
    return a.on.equal(b.on) and _same(
        None if a.channels is None else a.channels.on, None if b.channels is None else b.channels.on
    )


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is None or b is None or a.equal(b)
