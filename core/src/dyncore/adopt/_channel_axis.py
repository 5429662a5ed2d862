"""Which axis of a map its channels lie on: after the batch (convolutions), or last (tokens)."""

from collections.abc import Iterable, Sequence

from torch import nn


def channel_axis(shape: Sequence[int], branch: Iterable[nn.Module]) -> int:
    """1 or -1, for a branch of these modules whose input has this ``shape``.

    Maps of three axes are sequences of tokens. Else the first of its layers that is no norm tells:
    a convolution reads axis 1, a linear layer the last one.
    """
    if len(shape) != 4:
        return -1
    for module in branch:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                return 1
            if isinstance(layer, nn.Linear):
                return -1
    return 1
