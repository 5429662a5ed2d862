"""A residual path, or several at once, as convolutions that can be called."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dyncore.blocks import Path
from dyncore.engine._convolution import Convolution, build_convolution
from dyncore.engine._plan import FoldedLayer


class FoldedPath:
    """The convolutions of one path."""

    def __init__(self, layers: Sequence[FoldedLayer], *, portable: bool) -> None:
        self.convolutions: list[Convolution] = [
            build_convolution(layer.conv, layer.activation, portable=portable) for layer in layers
        ]

    def __call__(self, x: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = convolution(x)
        return x

    def add_(self, total: Tensor, x: Tensor, *, relu: bool) -> None:
        """``total ← total + path(x)``, then a ReLU if asked for. ``total`` may be ``x``."""
        *inner, last = self.convolutions
        for convolution in inner:
            x = convolution(x)
        last.add_(total, x, relu=relu)


class ModulePath:
    """A path that could not be folded, called as it is."""

    def __init__(self, path: Callable[[Tensor], Tensor]) -> None:
        self.path = path

    def __call__(self, x: Tensor) -> Tensor:
        return self.path(x)

    def add_(self, total: Tensor, x: Tensor, *, relu: bool) -> None:
        """See :meth:`FoldedPath.add_`."""
        total.add_(self.path(x))
        if relu:
            total.relu_()


def join(paths: Sequence[Sequence[FoldedLayer]]) -> tuple[FoldedLayer, ...]:
    """Layers that compute the sum of all ``paths`` of one block.

    First layers side by side, inner ones as groups; the last one sums over its concatenated input.
    Last layers have no activation.
    """
    if len(paths) == 1:
        return tuple(paths[0])
    joined = []
    depth = len(paths[0])
    for index, layers in enumerate(zip(*paths, strict=True)):
        convs = [layer.conv for layer in layers]
        one = convs[0]
        biases = [conv.bias for conv in convs]
        if index == depth - 1:
            weight = torch.cat([conv.weight for conv in convs], 1)
            bias = torch.stack(biases).sum(0)
            groups = one.groups
        else:
            weight = torch.cat([conv.weight for conv in convs])
            bias = torch.cat(biases)
            groups = one.groups * (1 if index == 0 else len(convs))
        conv = nn.Conv2d(
            weight.shape[1] * groups,
            weight.shape[0],
            one.kernel_size,
            one.stride,
            one.padding,
            one.dilation,
            groups,
            device="meta",
        )
        conv.weight, conv.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        joined.append(FoldedLayer(conv, layers[0].activation))
    return tuple(joined)


class Paths:
    """The N paths of a block; those that an image chose run as one.

    Every subset that occurs gets weights of its own. With N ≤ ``GROUP`` there are up to 2^N − 1 of
    them, each path being part of half, so weights take up to 2^(N-1) times their size; more paths
    are cut into groups, one after the other.
    """

    GROUP = 4

    def __init__(self, paths: Sequence[tuple[FoldedLayer, ...] | Path], *, portable: bool) -> None:
        self.paths = paths
        self.portable = portable
        joinable = all(
            not isinstance(path, Path)
            and path[-1].activation == "none"
            and path[-1].conv.groups == 1
            for path in paths
        )
        self._group = self.GROUP if joinable else 1
        self._groups: dict[tuple[int, int], FoldedPath | ModulePath] = {}
        self._chosen: dict[int, list[FoldedPath | ModulePath]] = {}

    def chosen(self, subset: int) -> list[FoldedPath | ModulePath]:
        """What to run, one after the other, for the paths in the bits of ``subset``."""
        if subset not in self._chosen:
            self._chosen[subset] = [
                self._within(first, bits)
                for first in range(0, len(self.paths), self._group)
                if (bits := subset >> first & (1 << self._group) - 1)
            ]
        return self._chosen[subset]

    def _within(self, first: int, bits: int) -> FoldedPath | ModulePath:
        """The paths in ``bits`` of the group that begins at ``first``, as one."""
        if (first, bits) not in self._groups:
            paths = [self.paths[first + n] for n in range(self._group) if bits >> n & 1]
            folded = [path for path in paths if not isinstance(path, Path)]
            self._groups[first, bits] = (
                FoldedPath(join(folded), portable=self.portable)
                if folded
                else ModulePath(self.paths[first])  # type: ignore[arg-type]
            )
        return self._groups[first, bits]


def add_all_(
    paths: Sequence[FoldedPath | ModulePath], total: Tensor, x: Tensor, *, relu: bool
) -> None:
    """``total ← total + Σ path(x)``, then a ReLU if asked for. ``total`` may be ``x``."""
    if len(paths) > 1 and total.data_ptr() == x.data_ptr():
        x = x.clone(memory_format=torch.channels_last)
    for index, path in enumerate(paths):
        path.add_(total, x, relu=relu and index == len(paths) - 1)
