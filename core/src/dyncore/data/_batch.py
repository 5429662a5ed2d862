"""What a network is trained and evaluated on, step by step."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Some images of a split, on the device of the loader."""

    images: Float[Tensor, "batch channel height width"]
    """Values in [0, 1], not yet normalised."""
    labels: Int[Tensor, "batch"]
    """Class numbers, from 0."""
    index: Int[Tensor, "batch"]
    """Each image's row in its split."""
