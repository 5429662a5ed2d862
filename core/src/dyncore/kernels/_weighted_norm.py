"""Batch norm and what weights its output, as one operation that keeps only the norm's input."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import Activation, Norm, identity, rectifies
from dyncore.kernels._beside import beside
from dyncore.kernels._compiled_norm import CompiledWeightedNorm, compiles
from dyncore.kernels._first_order import first_order
from dyncore.kernels._statistics import affine, follow, normalise, update_statistics


def activated_norm(
    x: Float[Tensor, "batch all_channels height width"],
    norms: Sequence[Norm],
    activation: Activation,
) -> Float[Tensor, "batch all_channels height width"]:
    """Each of N equal parts of the channels through a norm of its own, then ``activation``."""
    if rectifies(activation) and compiles(norms, x):
        return _compiled(norms, x, x.new_ones(len(x), 1, 1), None, activation)
    normed, mean, inverse_std = normalise(x, *affine(norms), norms[0].eps)
    follow(norms, x, mean, inverse_std)
    return activation(normed)


def weighted_norm(
    x: Float[Tensor, "batch all_channels height width"],
    norms: Sequence[Norm],
    weight: Float[Tensor, "batch path weighted"],
    shortcut: Float[Tensor, "batch channel height width"] | None = None,
    *,
    activation: Activation = identity,
) -> Float[Tensor, "batch channel height width"]:
    """``activation(shortcut + Σₙ wₙ · normₙ(xₙ))``, x the N parts one after the other.

    ``weight`` is one per image and path, or one per channel of it. Plain operations keep a norm's
    input and its output for the backward pass; the output follows from the input, so only the
    input is kept.
    """
    weight = weight.to(x.dtype)
    if compiles(norms, x, shortcut):
        return _compiled(norms, x, weight, shortcut, activation)
    scale, shift = affine(norms)
    out, mean, inverse_std = _WeightedNorm.apply(  # type: ignore[no-untyped-call]
        x, scale, shift, weight[..., None, None], shortcut, norms[0].eps
    )
    follow(norms, x, mean, inverse_std)
    return activation(out)


def _compiled(
    norms: Sequence[Norm],
    x: Tensor,
    weight: Tensor,
    shortcut: Tensor | None,
    activation: Activation,
) -> Tensor:
    rectified = rectifies(activation)
    out, mean, variance = CompiledWeightedNorm.apply(  # type: ignore[no-untyped-call]
        x, *affine(norms), weight, shortcut, norms[0].eps, rectified
    )
    update_statistics(norms, mean, variance, x.numel() // x.shape[1])
    return out if rectified else activation(out)


class _WeightedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        shortcut: Tensor | None,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        normed, mean, inverse_std = normalise(x, scale, shift, eps)
        ctx.save_for_backward(x, scale, shift, weight, mean, inverse_std)
        ctx.mark_non_differentiable(mean, inverse_std)
        first, *rest = zip(normed.chunk(weight.shape[1], 1), weight.unbind(1), strict=True)
        out = torch.mul(*first) if shortcut is None else torch.addcmul(shortcut, *first)
        for part, own in rest:
            out.addcmul_(part, own)
        return out, mean, inverse_std

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """What the norm's gradient sums over the batch follows from sums over each image."""
        x, scale, shift, weight, mean, inverse_std = ctx.saved_tensors
        paths, wide = weight.shape[1], mean.dtype
        parts = x.chunk(paths, 1)
        sum_g = grad.sum((2, 3), dtype=wide).repeat(1, paths)
        sum_gx = torch.cat([(grad * part).sum((2, 3), dtype=wide) for part in parts], 1)
        gain = scale * inverse_std
        # Of grad times the norm's output.
        sum_gy = gain * sum_gx + (shift - gain * mean) * sum_g
        grad_weight = sum_gy.unflatten(1, (paths, -1)).sum_to_size(weight.shape[:3])
        spread = weight[..., 0, 0].expand(-1, -1, grad.shape[1]).flatten(1).to(wide)
        grad_shift = (spread * sum_g).sum(0)
        grad_scale = inverse_std * ((spread * sum_gx).sum(0) - mean * grad_shift)
        count = x.numel() // x.shape[1]
        slope = -gain * inverse_std * grad_scale / count
        offset = -gain * grad_shift / count - slope * mean
        grad_x = torch.addcmul(_channel(offset, x), x, _channel(slope, x))
        gains = (gain * spread).to(x.dtype).chunk(paths, 1)
        for part, own in zip(grad_x.chunk(paths, 1), gains, strict=True):
            part.addcmul_(grad, beside(own, part))
        grad_weight = grad_weight.to(weight.dtype)[..., None, None]
        grad_shortcut = grad if ctx.needs_input_grad[4] else None
        return grad_x, grad_scale, grad_shift, grad_weight, grad_shortcut, None


def _channel(values: Tensor, x: Tensor) -> Tensor:
    return beside(values.to(x.dtype)[None], x)
