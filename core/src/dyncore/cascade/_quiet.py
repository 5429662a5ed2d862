"""What is done to images and answers without waking torch's other threads.

They would go on spinning for milliseconds, where the members' own threads want to work.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

ALONE = 2**14
"""Numbers that an operation of torch works on without other threads."""


def log_softmax(values: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """``values.log_softmax(1)``, for which torch wakes its threads at a few rows already."""
    if not _is_small(values):
        return values.log_softmax(1)
    numbers = values.detach().numpy()
    shifted = numbers - numbers.max(1, keepdims=True)
    return torch.from_numpy(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def exp(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``values.exp()``, for which MKL wakes its threads at some hundred numbers."""
    return torch.from_numpy(np.exp(values.detach().numpy())) if _is_small(values) else values.exp()


def _is_small(values: Tensor) -> bool:
    """Whether NumPy, on one thread, is the faster one; a single row wakes nobody."""
    return values.is_cpu and len(values) > 1 and values.numel() <= ALONE


def extremes(images: Float[Tensor, "batch 3 height width"]) -> tuple[float, float]:
    """The least and the greatest value; NaN where one is. The device is asked once."""
    if images.is_cpu and images.numel() > ALONE and images.dtype in (torch.float32, torch.float64):
        numbers = images.detach().numpy()
        return float(numbers.min()), float(numbers.max())
    least, greatest = images.aminmax()
    if images.is_cpu:
        return float(least), float(greatest)
    low, high = torch.stack([least, greatest]).tolist()
    return low, high


def take(
    images: Float[Tensor, "batch channel height width"], rows: Int[Tensor, "some"]
) -> Float[Tensor, "some channel height width"]:
    """``images[rows]``, of images or feature maps."""
    if not images.is_cpu or not images.is_contiguous():
        return images[rows]
    bytes_ = images.detach().view(torch.uint8).numpy()
    return torch.from_numpy(bytes_[rows.numpy()]).view(images.dtype)
