"""What every member answers on labelled images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dyncore.calibration import Batches, check_labels, images_and_labels

Ask: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Images in [0, 1] → logits (B, K) and MACs (B,), if they are known."""


@dataclass(frozen=True)
class Predictions:
    """One member's answers, on the CPU."""

    logits: Float[Tensor, "image classes"]
    macs: Int[Tensor, "image"] | None
    """None: nobody knows them."""


@dataclass(frozen=True)
class Answers:
    """What all members say about labelled images."""

    members: list[Predictions]
    labels: Int[Tensor, "image"]
    example: Float[Tensor, "1 channel height width"]
    """The first image, where it lay."""


@torch.no_grad()
def predict(members: Sequence[Ask], batches: Batches, look: Callable[[Tensor], None]) -> Answers:
    """Ask every member once about all images; ``look`` is shown the images of each batch.

    Raises ValueError for batches that are not images and labels, for no images, and for labels that
    are no class's number.
    """
    found: list[list[Predictions]] = [[] for _ in members]
    labels: list[Tensor] = []
    example = None
    for batch in batches:
        images, numbers = images_and_labels(batch)
        example = images[:1] if example is None and len(images) else example
        look(images)
        labels.append(numbers.cpu().long())
        for ask, parts in zip(members, found, strict=True):
            logits, macs = ask(images)
            parts.append(Predictions(logits.float().cpu(), None if macs is None else macs.cpu()))
    if example is None:
        raise ValueError("there are no images to calibrate on: the batches are empty")
    joined = [_joined(parts) for parts in found]
    check_labels(torch.cat(labels), joined[0].logits.shape[1])
    return Answers(joined, torch.cat(labels), example)


def known_macs(names: Sequence[str], found: Sequence[Predictions]) -> list[Tensor]:
    """MACs of every member on every image. Raises ValueError where they are not known."""
    if unknown := [name for name, member in zip(names, found, strict=True) if member.macs is None]:
        raise ValueError(
            f"nobody knows the MACs of {', '.join(unknown)}: give Member(cost=...), or calibrate "
            "for ms=..."
        )
    return [member.macs for member in found if member.macs is not None]


def _joined(parts: Sequence[Predictions]) -> Predictions:
    macs = [part.macs for part in parts if part.macs is not None]
    return Predictions(
        torch.cat([part.logits for part in parts]),
        torch.cat(macs) if len(macs) == len(parts) else None,
    )
