"""What is done to whole images without waking torch's other threads.

They would go on spinning for milliseconds, where the members' own threads want to work.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

ALONE = 2**14
"""Numbers that an operation of torch works on without other threads."""


def extremes(images: Float[Tensor, "batch 3 height width"]) -> tuple[float, float]:
    """The least and the greatest value; NaN where one is. The device is asked once."""
    if images.numel() <= ALONE:
        least, greatest = images.aminmax()
    elif images.is_cpu and images.is_contiguous():
        parts = [part.aminmax() for part in images.view(-1).split(ALONE)]
        least = torch.stack([part.min for part in parts]).amin()
        greatest = torch.stack([part.max for part in parts]).amax()
    else:
        least, greatest = images.aminmax()
    if images.is_cpu:
        return float(least), float(greatest)
    low, high = torch.stack([least, greatest]).tolist()
    return low, high


def take(
    images: Float[Tensor, "batch 3 height width"], rows: Int[Tensor, "some"]
) -> Float[Tensor, "some 3 height width"]:
    """``images[rows]``."""
    if not images.is_cpu or not images.is_contiguous():
        return images[rows]
    bytes_ = images.detach().view(torch.uint8).numpy()
    return torch.from_numpy(bytes_[rows.numpy()]).view(images.dtype)
