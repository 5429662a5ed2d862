"""Batch norm and what weights its output in compiled code, where each pass reads a map once.

In plain operations such a norm writes and reads its maps several times more, and on a CPU that is
what it costs.
"""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dyncore.native import SCALARS, load

SOURCE = Path(__file__).parent / "native" / "norms.cpp"
MOST_PATHS = 4
PIECES = 4
"""Least pieces of work per thread."""


class _Maps(ctypes.Structure):
    """See norms.cpp."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("images", "pixels", "channels", "paths", "slices")
    )


@functools.cache
def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The compiled code for maps of ``dtype``; None where it cannot be had."""
    loaded = load(SOURCE, dtype, ("-fopenmp",), user="training runs")
    if loaded is None:
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    for name, types in {
        "moments": [pointer] * 4,
        "weighted": [pointer] * 5 + [integer, pointer],
        "weighted_sums": [pointer] * 5,
        "weighted_grads": [pointer] * 9,
        "blended": [pointer] * 6 + [integer, pointer],
        "blended_sums": [pointer] * 5 + [integer] + [pointer] * 2,
        "blended_grads": [pointer] * 6 + [integer] + [pointer] * 5,
    }.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = types, None
    return loaded


def compiles(norms: Sequence[nn.Module], *maps: Tensor | None) -> bool:
    """Whether compiled code takes ``maps``: on a CPU, channels-last, of the norms' dtype."""
    weight = norms[0].weight
    assert isinstance(weight, Tensor)
    return (
        not torch.compiler.is_compiling()
        and len(norms) <= MOST_PATHS
        and weight.dtype in SCALARS
        and all(
            x.device.type == "cpu"
            and x.dtype == weight.dtype
            and x.is_contiguous(memory_format=torch.channels_last)
            for x in maps
            if x is not None
        )
        and library(weight.dtype) is not None
    )


class Statistics(NamedTuple):
    """Of a batch, in float64, per channel."""

    mean: Tensor
    variance: Tensor


class Gradients(NamedTuple):
    """Of a norm's parameters, and what its input's gradient has beside gain × its output's.

    That is ``slope`` × input + ``offset``.
    """

    scale: Tensor
    shift: Tensor
    slope: Tensor
    offset: Tensor


class CompiledWeightedNorm(torch.autograd.Function):
    """See ``weighted_norm``; ``rectifies``: a ReLU follows."""

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
        paths = weight.shape[1]
        maps = _maps(x, paths)
        mean, variance = statistics = _statistics(maps, x)
        gain = scale * (variance + eps).rsqrt()
        spread = _spread(weight, x.shape[1])
        gains = spread * gain
        shifts = (spread * (shift - gain * mean)).unflatten(1, (paths, -1)).sum(1)
        out = _like(x, x.shape[1] // paths)
        _run("weighted", maps, x, shortcut, *_as(x, gains, shifts), rectifies, out)
        ctx.eps, ctx.has_shortcut = eps, shortcut is not None
        ctx.save_for_backward(x, scale, shift, weight, *statistics, out if rectifies else None)
        ctx.mark_non_differentiable(*statistics)
        return out, *statistics

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, mean, variance, out = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        paths, channels = weight.shape[1], grad.shape[1]
        maps = _maps(x, paths)
        sums = _sums(maps, x, 1 + paths, channels)
        _run("weighted_sums", maps, x, out, grad, sums)
        sums = _per_image(maps, sums)
        sum_g, sum_gx = sums[:, :1].expand(-1, paths, -1).flatten(1), sums[:, 1:].flatten(1)
        spread = _spread(weight, x.shape[1])
        inverse_std = (variance + ctx.eps).rsqrt()
        gain = scale * inverse_std
        found = _gradients(x, gain, mean, inverse_std, spread, sum_g, sum_gx)
        # Of the gradient times the norm's output.
        sum_gy = gain * sum_gx + (shift - gain * mean) * sum_g
        grad_weight = sum_gy.unflatten(1, (paths, -1)).sum_to_size(weight.shape)
        grad_x = torch.empty_like(x)
        grad_shortcut = None
        if ctx.has_shortcut and ctx.needs_input_grad[4]:
            grad_shortcut = grad if out is None else torch.empty_like(grad)
        _run(
            "weighted_grads",
            maps,
            x,
            out,
            grad,
            *_as(x, gain * spread, found.slope, found.offset),
            grad_x,
            None if out is None else grad_shortcut,
        )
        grad_scale, grad_shift, grad_weight = _as(x, found.scale, found.shift, grad_weight)
        return grad_x, grad_scale, grad_shift, grad_weight, grad_shortcut, None, None


class CompiledBlendedNorm(torch.autograd.Function):
    """See ``blended_norm``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        shortcut: Tensor,
        eps: float,
        rectified: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        maps = _maps(x, 1)
        mean, variance = statistics = _statistics(maps, x)
        gain = scale * (variance + eps).rsqrt()
        affine = _as(x, gain, shift - gain * mean)
        out = torch.empty_like(x)
        _run("blended", maps, x, shortcut, *affine, *_as(x, weight), rectified, out)
        ctx.eps, ctx.rectified = eps, rectified
        ctx.save_for_backward(x, scale, shift, weight, shortcut, *statistics)
        ctx.mark_non_differentiable(*statistics)
        return out, *statistics

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, shortcut, mean, variance = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        maps = _maps(x, 1)
        inverse_std = (variance + ctx.eps).rsqrt()
        gain = scale * inverse_std
        affine = _as(x, gain, shift - gain * mean)
        sums = _sums(maps, x, 3, x.shape[1])
        _run("blended_sums", maps, x, shortcut, *affine, ctx.rectified, grad, sums)
        sum_g, sum_gx, added = _per_image(maps, sums).unbind(1)
        found = _gradients(x, gain, mean, inverse_std, weight, sum_g, sum_gx)
        grad_x = torch.empty_like(x)
        grad_shortcut = torch.empty_like(x) if ctx.needs_input_grad[4] else None
        of_input = _as(x, found.slope, found.offset)
        own, *_rest = _as(x, weight)
        given = (x, shortcut, *affine, own, ctx.rectified, grad, *of_input)
        _run("blended_grads", maps, *given, grad_x, grad_shortcut)
        grad_weight = added.sum(1, keepdim=True)
        grad_scale, grad_shift, grad_weight = _as(x, found.scale, found.shift, grad_weight)
        return grad_x, grad_scale, grad_shift, grad_weight, grad_shortcut, None, None


def _maps(x: Tensor, paths: int) -> _Maps:
    images, channels, height, width = x.shape
    slices = -(-PIECES * torch.get_num_threads() // images)
    return _Maps(images, height * width, channels // paths, paths, min(slices, height * width))


def _run(name: str, maps: _Maps, *arguments: Tensor | int | None) -> None:
    given = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
    dtype = next(a.dtype for a in arguments if isinstance(a, Tensor))
    getattr(library(dtype), name)(ctypes.addressof(maps), *given)


def _statistics(maps: _Maps, x: Tensor) -> Statistics:
    """Around the first pixel, so that few digits cancel."""
    pivot = x[0, :, 0, 0].contiguous()
    sums = _sums(maps, x, 2, x.shape[1])
    _run("moments", maps, x, pivot, sums)
    mean, square = sums.sum(0) / (maps.images * maps.pixels)
    return Statistics(mean + pivot, (square - mean * mean).clamp_min_(0))


def _sums(maps: _Maps, x: Tensor, kinds: int, channels: int) -> Tensor:
    """(pieces, kinds, channels) zeros."""
    shape = maps.images * maps.slices, kinds, channels
    return torch.zeros(shape, dtype=torch.float64, device=x.device)


def _per_image(maps: _Maps, sums: Tensor) -> Tensor:
    return sums.unflatten(0, (maps.images, maps.slices)).sum(1)


def _gradients(
    x: Tensor,
    gain: Tensor,
    mean: Tensor,
    inverse_std: Tensor,
    spread: Tensor,
    sum_g: Tensor,
    sum_gx: Tensor,
) -> Gradients:
    """From sums over each image of the gradient and of it times x, (B, channels)."""
    count = x.numel() // x.shape[1]
    shift = (spread * sum_g).sum(0)
    scale = inverse_std * ((spread * sum_gx).sum(0) - mean * shift)
    slope = -gain * inverse_std * scale / count
    return Gradients(scale, shift, slope, -gain * shift / count - slope * mean)


def _spread(weight: Tensor, channels: int) -> Tensor:
    """(B, channels of all paths): a path's weight beside each of its channels."""
    return weight.expand(-1, -1, channels // weight.shape[1]).flatten(1)


def _as(x: Tensor, *values: Tensor) -> list[Tensor]:
    """Contiguous, in x's precision."""
    return [value.to(x.dtype).contiguous() for value in values]


def _like(x: Tensor, channels: int) -> Tensor:
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
