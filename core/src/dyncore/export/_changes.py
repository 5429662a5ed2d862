"""What a subnet changes."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a subnet changes, on images that need not be those of its calibration."""

    images: int
    decisions: float
    """Share of the images for which another path or channel runs, or with another weight."""
    predictions: float
    """Share of the images that get another class."""


@torch.no_grad()
def changes(
    model: DynamicNetwork,
    subnet: DynamicNetwork,
    batches: Iterable[Float[Tensor, "batch channel height width"]],
) -> Changes:
    """Compare a subnet with its network. Raises ValueError for no images."""
    images = decisions = predictions = 0
    for batch in batches:
        found, expected = subnet(batch), model(batch)
        decisions += int((_weights(found.path) != _weights(expected.path)).any(1).sum())
        predictions += int((found.logits.argmax(1) != expected.logits.argmax(1)).sum())
        images += len(batch)
    if not images:
        raise ValueError("there are no images to compare the subnet with its network on")
    return Changes(images=images, decisions=decisions / images, predictions=predictions / images)


def _weights(path: ExecutionPath) -> Float[Tensor, "batch column"]:
    """Of every path and channel; 0 for the channels of a path that is off."""
    channels = [d.channels.weight * d.on for d in path if d.channels is not None]
    return torch.cat([path.weight, *channels], dim=1)
