"""Batch norm and what weights its output in compiled code, where each pass reads a map once.

In plain operations such a norm writes and reads its maps several times more, and on a CPU that is
what it costs.
"""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dyncore.kernels._first_order import first_order
from dyncore.kernels._maps import readable
from dyncore.native import SCALARS, check_layout, load

SOURCE = Path(__file__).parent / "native" / "norms.cpp"
MAX_PATHS = 4
"""Of a block: each number is a loop of its own."""
PIECES_PER_THREAD = 4
"""At least; an image is cut into as many as that takes."""


class _Maps(ctypes.Structure):
    """See norms.cpp."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("images", "pixels", "channels", "paths", "slices")
    )


class _Norm(ctypes.Structure):
    """See norms.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("scale", "shift", "mean", "variance")),
        ("eps", ctypes.c_double),
    )


class _Weights(ctypes.Structure):
    """See norms.cpp."""

    _fields_ = (("values", ctypes.c_void_p), ("each", ctypes.c_int64))


STRUCTS = (_Maps, _Norm, _Weights)


@functools.cache
def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The compiled code for maps of ``dtype``; None where it cannot be had."""
    loaded = load(SOURCE, dtype, ("-fopenmp",), user="training runs")
    if loaded is None:
        return None
    check_layout(loaded, STRUCTS, {}, what="the compiled norms")
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    for name, types in {
        "weighted_forward": [pointer] * 5 + [integer, pointer],
        "weighted_backward": [pointer] * 11,
        "blended_forward": [pointer] * 6,
        "blended_backward": [pointer] * 11,
    }.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = types, None
    return loaded


def compiles(norms: Sequence[nn.Module], *maps: Tensor | None) -> bool:
    """Whether compiled code takes ``maps``: on a CPU, channels-last, of the norms' dtype."""
    weight = norms[0].weight
    assert isinstance(weight, Tensor)
    return (
        len(norms) <= MAX_PATHS
        and weight.dtype in SCALARS
        and readable(weight.dtype, *maps)
        and library(weight.dtype) is not None
    )


class CompiledWeightedNorm(torch.autograd.Function):
    """See ``weighted_norm``; ``rectifies``: a ReLU follows.

    Gives the output, and mean and variance of the batch in float64.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        shortcut: Tensor | None,
        eps: float,
        rectifies: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        scale, shift, weight = (values.contiguous() for values in (scale, shift, weight))
        mean, variance = x.new_empty(2, x.shape[1], dtype=torch.float64)
        shape = (x.shape[0], x.shape[1] // weight.shape[1], *x.shape[2:])
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        norm = _norm(scale, shift, mean, variance, eps)
        weights = _Weights(weight.data_ptr(), weight.shape[2])
        maps = _maps(x, weight.shape[1])
        _run("weighted_forward", x.dtype, maps, x, shortcut, norm, weights, rectifies, out)
        ctx.eps, ctx.has_shortcut = eps, shortcut is not None
        ctx.save_for_backward(x, scale, shift, weight, mean, variance, out if rectifies else None)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, mean, variance, out = ctx.saved_tensors
        x, out, grad = (_as_read(maps) for maps in (x, out, grad))
        own = [torch.empty_like(of) for of in (x, scale, shift, weight)]
        of_shortcut = None
        if ctx.has_shortcut and ctx.needs_input_grad[4]:
            of_shortcut = grad if out is None else torch.empty_like(grad)
        norm = _norm(scale, shift, mean, variance, ctx.eps)
        weights = _Weights(weight.data_ptr(), weight.shape[2])
        maps, written = _maps(x, weight.shape[1]), None if out is None else of_shortcut
        _run("weighted_backward", x.dtype, maps, x, out, norm, weights, grad, *own, written)
        return *own, of_shortcut, None, None


class CompiledBlendedNorm(torch.autograd.Function):
    """See ``blended_norm``; gives what :class:`CompiledWeightedNorm` does."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        shortcut: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        scale, shift, weight = (values.contiguous() for values in (scale, shift, weight))
        mean, variance = x.new_empty(2, x.shape[1], dtype=torch.float64)
        out = torch.empty_like(x)
        norm = _norm(scale, shift, mean, variance, eps)
        _run("blended_forward", x.dtype, _maps(x), x, shortcut, norm, weight, out)
        ctx.eps = eps
        ctx.save_for_backward(x, scale, shift, weight, shortcut, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, shortcut, mean, variance = ctx.saved_tensors
        x, shortcut, grad = (_as_read(maps) for maps in (x, shortcut, grad))
        own = [torch.empty_like(of) for of in (x, scale, shift, weight)]
        of_shortcut = torch.empty_like(x) if ctx.needs_input_grad[4] else None
        norm = _norm(scale, shift, mean, variance, ctx.eps)
        given = (x, shortcut, norm, weight, grad)
        _run("blended_backward", x.dtype, _maps(x), *given, *own, of_shortcut)
        return *own, of_shortcut, None


def _as_read(maps: Tensor | None) -> Any:
    """Channels-last again: hooks on saved tensors may not have kept the layout."""
    return None if maps is None else maps.contiguous(memory_format=torch.channels_last)


def _maps(x: Tensor, paths: int = 1) -> _Maps:
    images, channels, height, width = x.shape
    slices = -(-PIECES_PER_THREAD * torch.get_num_threads() // images)
    return _Maps(images, height * width, channels // paths, paths, min(slices, height * width))


def _norm(scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor, eps: float) -> _Norm:
    return _Norm(*(values.data_ptr() for values in (scale, shift, mean, variance)), eps)


def _run(name: str, dtype: torch.dtype, *arguments: Tensor | ctypes.Structure | int | None) -> None:
    getattr(library(dtype), name)(*map(_address, arguments))


def _address(argument: Tensor | ctypes.Structure | int | None) -> int | None:
    if isinstance(argument, Tensor):
        return argument.data_ptr()
    if isinstance(argument, ctypes.Structure):
        return ctypes.addressof(argument)
    return argument
