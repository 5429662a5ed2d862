"""RDI-Net's blend of a block and its shortcut, as one operation with the block's last norm."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import Norm
from dyncore.kernels._compiled_norm import CompiledBlendedNorm, compiles
from dyncore.kernels._first_order import first_order
from dyncore.kernels._statistics import follow, normalise, update_statistics


def blended_norm(
    x: Float[Tensor, "batch channel height width"],
    norm: Norm,
    weight: Float[Tensor, "batch 1"],
    shortcut: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """``v relu(shortcut + norm(x)) + (1 - v) relu(shortcut)`` (RDI-Net Eq. 9), v the weight.

    It keeps what the static block keeps: the norm's input and the shortcut. That may be negative
    even behind a ReLU, since hooks may change what it gave.
    """
    weight = weight.to(x.dtype)
    if compiles([norm], x, shortcut):
        out, mean, variance = CompiledBlendedNorm.apply(  # type: ignore[no-untyped-call]
            x, norm.weight, norm.bias, weight, shortcut, norm.eps
        )
        update_statistics([norm], mean, variance, x.numel() // x.shape[1])
        return out
    out, mean, inverse_std = _BlendedNorm.apply(  # type: ignore[no-untyped-call]
        x, norm.weight, norm.bias, weight[..., None, None], shortcut, norm.eps
    )
    follow([norm], x, mean, inverse_std)
    return out


class _BlendedNorm(torch.autograd.Function):
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
        normed, mean, inverse_std = normalise(x, scale, shift, eps)
        ctx.save_for_backward(x, scale, shift, weight, shortcut, mean, inverse_std)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, inverse_std)
        executed = normed.add_(shortcut).relu_()
        return executed.lerp_(shortcut.relu(), 1 - weight), mean, inverse_std

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, shortcut, mean, inverse_std = ctx.saved_tensors
        if not x.is_contiguous():
            # The head's mean gives a gradient of the default format; it would spread over the
            # shortcuts, and a ReLU's backward pass of two formats takes up to 100 times as long.
            grad = grad.contiguous(memory_format=torch.channels_last)
        # In place wherever it can be: fresh memory costs more than what is done with it.
        threshold_backward = torch.ops.aten.threshold_backward
        variance = inverse_std.pow(-2) - ctx.eps
        executed = F.batch_norm(x, mean, variance, scale, shift, eps=ctx.eps)
        executed.add_(shortcut).relu_()
        skipped = shortcut.relu()
        grad_executed = grad * weight
        threshold_backward(grad_executed, executed, 0, grad_input=grad_executed)
        grad_weight = executed.sub_(skipped).mul_(grad).sum((1, 2, 3), keepdim=True)
        del executed
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
            grad_executed, x, scale, None, None, mean, inverse_std, True, ctx.eps, [True] * 3
        )
        grad_shortcut = None
        if ctx.needs_input_grad[4]:
            kept = threshold_backward(grad, skipped, 0, grad_input=skipped)
            grad_shortcut = grad_executed.addcmul_(kept, 1 - weight)
        return grad_x, grad_scale, grad_shift, grad_weight, grad_shortcut, None
