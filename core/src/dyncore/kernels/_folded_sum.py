"""The last 1×1 convolutions of N paths, with their batch norms, as one convolution."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import Layer
from dyncore.kernels._beside import beside
from dyncore.kernels._first_order import first_order
from dyncore.kernels._statistics import update_statistics


def folded_sum(
    layers: Sequence[Layer],
    x: Float[Tensor, "batch all_channels height width"],
    weight: Float[Tensor, "batch path"],
    shortcut: Float[Tensor, "batch out_channel height width"] | None,
) -> Float[Tensor, "batch out_channel height width"]:
    """``shortcut + Σₙ wₙ · normₙ(convₙ(xₙ))`` in training, x the N parts one after the other.

    Of an output y = W x the mean is W mean(x) and the variance diag(W Cov(x) Wᵀ), so the norms fold
    into the kernels before y is there, and their shifts are the kernels of one more input channel
    per path, which is 1. The weights scale the inputs, which are narrower than the outputs.
    """
    count = x.numel() // x.shape[1]
    norms = [layer.norm for layer in layers]
    kernel = torch.stack([layer.conv.weight for layer in layers]).flatten(2)
    with torch.autocast(x.device.type, enabled=False):
        scaled, mean, second = _ScaledWithMoments.apply(x, weight, kernel.dtype)  # type: ignore[no-untyped-call]
        covariance = second - mean[:, :, None] * mean[:, None, :]
        out_mean = (kernel @ mean[..., None]).squeeze(2)
        # Of a constant, rounding may leave less than 0.
        variance = _Variances.apply(kernel, covariance).clamp_min(0)  # type: ignore[no-untyped-call]
        gain = torch.stack([norm.weight for norm in norms]) * (variance + norms[0].eps).rsqrt()
        shift = torch.stack([norm.bias for norm in norms]) - gain * out_mean
        folded = torch.cat([*(gain[..., None] * kernel), shift.T], 1)
    update_statistics(norms, out_mean.detach().flatten(), variance.detach().flatten(), count)
    out = F.conv2d(scaled, folded[..., None, None])
    return out if shortcut is None else out.add_(shortcut)


class _Variances(torch.autograd.Function):
    """``diag(W C Wᵀ)`` of kernels W and a covariance C.

    C is symmetric, so both W have one gradient, and the product that it needs is there already.
    """

    @staticmethod
    def forward(ctx: Any, kernel: Tensor, covariance: Tensor) -> Tensor:
        product = kernel @ covariance
        ctx.save_for_backward(kernel, product)
        return (product * kernel).sum(2)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kernel, product = ctx.saved_tensors
        grad = grad[..., None]
        return 2 * grad * product, kernel.mT @ (grad * kernel)


class _ScaledWithMoments(torch.autograd.Function):
    """``[w₁ x₁, …, w₁, …]``, and per path the mean of x and of x xᵀ over images and pixels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        weight = weight.to(x.dtype)
        ctx.save_for_backward(x, weight)
        paths, channels = weight.shape[1], x.shape[1]
        shape = (x.shape[0], channels + paths, *x.shape[2:])
        scaled = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_layout(x))
        torch.mul(x, _spread(weight, x), out=scaled[:, :channels])
        scaled[:, channels:] = weight[..., None, None]
        rows = _rows(x).to(dtype)
        parts = rows.split(channels // paths, 1)
        second = torch.stack([part.T @ part for part in parts]) / len(rows)
        return scaled, rows.mean(0).unflatten(0, (paths, -1)), second

    @staticmethod
    @first_order
    def backward(
        ctx: Any, grad: Tensor, grad_mean: Tensor, grad_second: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        paths, channels = weight.shape[1], x.shape[1]
        count = x.numel() // channels
        inner, ones = grad.split([channels, paths], 1)
        wide = grad_second.dtype
        grad_weight = (inner * x).sum((2, 3), dtype=wide).unflatten(1, (paths, -1)).sum(2)
        grad_weight += ones.sum((2, 3), dtype=wide)
        offset = (grad_mean.flatten() / count).to(x.dtype)
        grad_x = torch.addcmul(beside(offset[None], x), inner, _spread(weight, x))
        slopes = ((grad_second + grad_second.mT) / count).to(x.dtype)
        width, own = channels // paths, _rows(grad_x)
        parts = own.split(width, 1), _rows(x).split(width, 1), slopes
        for part, seen, slope in zip(*parts, strict=True):
            part.addmm_(seen, slope)
        # Where rows are a copy, it comes back.
        grad_x = own.unflatten(0, x[:, 0].shape).permute(0, 3, 1, 2)
        grad_x = grad_x.contiguous(memory_format=_layout(x))
        return grad_x, grad_weight.to(weight.dtype), None


def _layout(x: Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def _rows(x: Tensor) -> Tensor:
    """Pixels by channels; a view of a channels-last map."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _spread(weight: Tensor, x: Tensor) -> Tensor:
    """The path's weight beside each of its channels."""
    width = x.shape[1] // weight.shape[1]
    return beside(weight.repeat_interleave(width, 1), x)
