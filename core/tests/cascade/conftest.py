"""Members whose logits are a fixed linear map of the images: quick, and known exactly."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dyncore.cascade import Member

CLASSES = 4
COSTS = (100, 250, 900)


def linear(seed: int, noise: float) -> Callable[[Tensor], Tensor]:
    """Images (B, 3, 2, 2) → logits; the map is shared but for ``noise`` of its own."""
    shared = torch.randn(12, CLASSES, generator=torch.Generator().manual_seed(0))
    own = torch.randn(12, CLASSES, generator=torch.Generator().manual_seed(seed))
    weight = 3 * (shared + noise * own)
    return lambda images: (images.flatten(1) - 0.5) @ weight.to(images.dtype)


@pytest.fixture(scope="session")
def members() -> list[Member]:
    """Three members, the later the better and the dearer."""
    return [
        Member(run=linear(i + 1, noise), name=f"linear {i}", preprocessing=None, cost=cost)
        for i, (noise, cost) in enumerate(zip((1.0, 0.6, 0.3), COSTS, strict=True))
    ]


@pytest.fixture(scope="session")
def labelled() -> tuple[Tensor, Tensor]:
    """4000 images and labels that the shared map gives, with some chance."""
    generator = torch.Generator().manual_seed(7)
    images = torch.rand(4000, 3, 2, 2, generator=generator)
    logits = linear(0, 0.0)(images)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return images, labels
