"""Which images go on to the next member."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cascade._confidence import Confidence, confidence_of


def unsure(
    answer: Float[Tensor, "batch classes"], measure: Confidence, threshold: float, cap: float
) -> Tensor | bool:
    """Numbers of the answers below the threshold; True: all of them, False: none.

    ``answer`` is in log-probabilities. Of more than a share ``cap`` of them, rounded up, the least
    sure ones.
    """
    confidence = confidence_of(answer, measure)
    if len(answer) == 1:  # in a few microseconds
        return float(confidence) < threshold
    below = confidence < threshold
    most = math.ceil(cap * len(answer))
    if most < len(answer):
        least = torch.zeros_like(below)
        least[confidence.topk(most, largest=False).indices] = True
        below = below & least
    rows = below.nonzero()[:, 0]
    return rows if 0 < len(rows) < len(answer) else bool(len(rows))
