"""A residual path of which an image chose some channels of the first convolution (LC-Net).

The chosen rows of the first convolution's weight and the same input channels of the second's are
copied together, and both run as matrix products: nothing is spent on a channel that is off. oneDNN
takes such a fresh matrix as it is; a convolution would pack it again.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyncore.engine._linear import choose_linear
from dyncore.engine._path import FoldedPath
from dyncore.engine._plan import FoldedLayer
from dyncore.gating import Decision

STEP = 8
"""Channels are filled up to a multiple of this with ones that count 0 times, so that there are few
different shapes to prepare for."""


class Matrix:
    """A convolution's geometry on one image, as a matrix product."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.kernel, self.stride, self.padding = (
            int(conv.kernel_size[0]),
            int(conv.stride[0]),
            int(conv.padding[0]),
        )

    def columns(self, x: Tensor) -> tuple[Tensor, int, int]:
        """(1, C, H, W) channels-last → (H' W', kernel² C), H' and W'."""
        k, s, p = self.kernel, self.stride, self.padding
        x = x.permute(0, 2, 3, 1)[0]
        channels = x.shape[2]
        if k == 1 and s == 1 and p == 0:
            return x.reshape(-1, channels), x.shape[0], x.shape[1]
        if p:
            x = F.pad(x, (0, 0, p, p, p, p))
        height, width = ((side - k) // s + 1 for side in x.shape[:2])
        row = x.shape[1] * channels
        x = x.as_strided((height, width, k, k * channels), (s * row, s * channels, row, 1))
        return x.reshape(height * width, k * k * channels), height, width


class ChannelPath:
    """One path, one image at a time.

    A ReLU follows its first layer; a salience, which is not negative, passes through it.
    """

    def __init__(self, layers: Sequence[FoldedLayer], *, portable: bool) -> None:
        first, second, *rest = layers
        self.begin = FoldedPath((first, second), portable=portable)
        self.rest = FoldedPath(rest, portable=portable)
        self.geometry = Matrix(first.conv), Matrix(second.conv)
        self.activation = second.activation
        self.bias = _bias(first.conv), _bias(second.conv)
        self.first = first.conv.weight.permute(0, 2, 3, 1).flatten(1).contiguous()
        """(gated, kernel² C)."""
        self.second = second.conv.weight.permute(2, 3, 1, 0).flatten(0, 1).contiguous()
        """(kernel², gated, C')."""
        self.linear = choose_linear(first.conv.weight.dtype, portable=portable)
        self.most = len(self.first)
        """With more channels on than this, all are computed."""

    def limit(self, share: float) -> None:
        """Pick channels where an image has at most this share of them on."""
        self.most = int(share * len(self.first))

    def gathered(self, x: Tensor, keep: Tensor, salience: Tensor) -> Tensor:
        """What the second layer gives with the channels ``keep`` only."""
        columns, height, width = self.geometry[0].columns(x)
        weight, bias = self.first.index_select(0, keep), self.bias[0].index_select(0, keep)
        y = self.linear(columns, weight, bias, "relu").mul_(salience)
        y = y.view(1, height, width, len(keep)).permute(0, 3, 1, 2)
        columns, height, width = self.geometry[1].columns(y)
        weight = self.second.index_select(1, keep).flatten(0, 1)
        z = self.linear(columns, weight.T, self.bias[1], self.activation)
        return z.view(1, height, width, -1).permute(0, 3, 1, 2)

    def masked(self, x: Tensor, salience: Tensor) -> Tensor:
        """The same with every channel, those that are off times 0."""
        first, second = self.begin.convolutions
        return second(first(x).mul_(salience[:, None, None]))


class ChosenChannels:
    """A batch's decisions about one path, sorted so that each image's channels stand together."""

    def __init__(self, path: ChannelPath, decision: Decision) -> None:
        channels = decision.channels
        assert channels is not None
        self.path = path
        self.counts: list[int] = channels.on.sum(1).tolist()
        self.weights: list[float] = decision.weight[:, 0].tolist()
        self.salience = channels.weight * channels.on
        self.order = torch.argsort(channels.on.byte(), dim=1, descending=True, stable=True)
        self.sorted = self.salience.gather(1, self.order)

    def add_(self, total: Tensor, x: Tensor, image: int, *, relu: bool) -> None:
        """``total ← total + weight · path(x)`` of one image, then a ReLU if asked for."""
        path, count = self.path, self.counts[image]
        if count > path.most:
            y = path.masked(x, self.salience[image])
        else:
            filled = min(max(STEP, -(-count // STEP) * STEP), len(path.first))
            y = path.gathered(x, self.order[image, :filled], self.sorted[image, :filled])
        weight = self.weights[image]
        if weight == 1 and path.rest.convolutions:
            path.rest.add_(total, y, relu=relu)
            return
        total.add_(path.rest(y), alpha=weight)
        if relu:
            total.relu_()


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None, "folding a norm gives a bias"
    return conv.bias
