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
    Activations of the last layers must be none.
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
        self._joined: dict[tuple[int, ...], FoldedPath | ModulePath] = {}

    def chosen(self, subset: int) -> list[FoldedPath | ModulePath]:
        """What to run, one after the other, for the paths in the bits of ``subset``."""
        numbers = [n for n in range(len(self.paths)) if subset >> n & 1]
        group = self.GROUP if self._can_join else 1
        groups = (
            tuple(n for n in numbers if n // group == which)
            for which in range(-(-len(self.paths) // group))
        )
        return [self._path(numbers) for numbers in groups if numbers]

    @property
    def _can_join(self) -> bool:
        return all(
            not isinstance(path, Path)
            and path[-1].activation == "none"
            and path[-1].conv.groups == 1
            for path in self.paths
        )

    def _path(self, numbers: tuple[int, ...]) -> FoldedPath | ModulePath:
        if numbers not in self._joined:
            parts = [self.paths[n] for n in numbers]
            first = parts[0]
            self._joined[numbers] = (
                ModulePath(first)
                if isinstance(first, Path)
                else FoldedPath(join(parts), portable=self.portable)  # type: ignore[arg-type]
            )
        return self._joined[numbers]


def add_all_(
    paths: Sequence[FoldedPath | ModulePath], total: Tensor, x: Tensor, *, relu: bool
) -> None:
    """``total ← total + Σ path(x)``, then a ReLU if asked for. ``total`` may be ``x``."""
    if len(paths) > 1 and total.data_ptr() == x.data_ptr():
        x = x.clone(memory_format=torch.channels_last)
    for index, path in enumerate(paths):
        path.add_(total, x, relu=relu and index == len(paths) - 1)
