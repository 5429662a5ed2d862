"""A grouped 3×3 convolution of narrow groups, whose gradients leave no lane of a vector idle."""

import ctypes
import functools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.kernels._first_order import first_order
from dyncore.kernels._maps import readable
from dyncore.native import check_layout, load

SOURCE = Path(__file__).parent / "native" / "grouped.cpp"
MAX_INPUTS = 8
"""Most input channels of a group for which the compiled gradient is faster than torch's."""
MAX_GROUPS = 4
"""That it is for: paths, not a depthwise convolution's channels."""


class _Shape(ctypes.Structure):
    """See grouped.cpp."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("images", "height", "width", "groups", "inputs", "outputs")
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled code; None where it cannot be had."""
    loaded = load(SOURCE, torch.float32, ("-fopenmp",), user="training runs")
    if loaded is not None:
        check_layout(loaded, [_Shape], {}, what="the compiled grouped convolution")
        loaded.grouped_input_gradient.argtypes = [ctypes.c_void_p] * 4
        loaded.grouped_input_gradient.restype = None
    return loaded


def grouped(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "out_channel group_channel kernel kernel"],
    conv: nn.Conv2d,
    groups: int,
) -> Float[Tensor, "batch out_channel out_height out_width"]:
    """``conv`` with ``weight`` in ``groups``."""
    if _compiles(x, weight, conv) and 1 < groups <= MAX_GROUPS:
        return _Grouped.apply(x, weight, groups)  # type: ignore[no-untyped-call]
    return F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, groups)


def _compiles(x: Tensor, weight: Tensor, conv: nn.Conv2d) -> bool:
    return (
        weight.shape[1] <= MAX_INPUTS
        and weight.shape[2:] == (3, 3)
        and conv.stride == conv.padding == conv.dilation == (1, 1)
        and weight.dtype == torch.float32
        and readable(weight.dtype, x)
        and not torch.is_autocast_enabled("cpu")
        and library() is not None
    )


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        ctx.groups = groups
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, None, 1, 1, 1, groups)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        needed = [False, ctx.needs_input_grad[1], False]
        geometry = [1, 1], [1, 1], [1, 1], False, [0, 0], ctx.groups
        _, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, *geometry, needed
        )
        if not ctx.needs_input_grad[0]:
            return None, grad_weight, None
        # Hooks on saved tensors may not have kept the layout of x.
        grad_x = torch.empty_like(x, memory_format=torch.channels_last)
        weight = weight.contiguous()
        images, _, height, width = x.shape
        outputs, inputs = weight.shape[:2]
        shape = _Shape(images, height, width, ctx.groups, inputs, outputs // ctx.groups)
        code = library()
        assert code is not None
        pointers = (values.data_ptr() for values in (grad, weight, grad_x))
        code.grouped_input_gradient(ctypes.addressof(shape), *pointers)
        return grad_x, grad_weight, None
