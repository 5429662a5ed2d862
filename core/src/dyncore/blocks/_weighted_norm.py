"""Batch norm and what weights its output, as one operation that keeps only the norm's input."""

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks._activation import Activation, identity, rectifies
from dyncore.blocks._compiled_norm import CompiledBlendedNorm, CompiledWeightedNorm, compiles
from dyncore.blocks._pool import beside

Norm: TypeAlias = nn.BatchNorm2d | nn.SyncBatchNorm


def fuses(*norms: nn.Module) -> bool:
    """Whether all of ``norms`` now normalise by the statistics of this process's batch."""
    return all(
        type(norm) is nn.BatchNorm2d
        and norm.training
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        for norm in norms
    )


def activated_norm(
    x: Float[Tensor, "batch all_channels height width"],
    norms: Sequence[Norm],
    activation: Activation,
) -> Float[Tensor, "batch all_channels height width"]:
    """Each of N equal parts of the channels through a norm of its own, then ``activation``.

    Of norms that :func:`fuses`.
    """
    if rectifies(activation) and compiles(norms, x):
        return _compiled(norms, x, x.new_ones(len(x), 1, 1), None, activation)
    normed, mean, inverse_std = _normalise(x, *_affine(norms), norms[0].eps)
    _follow(norms, x, mean, inverse_std)
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
    input and its output for the backward pass; the output follows from the input, so in training
    only the input is kept.
    """
    weight = weight.to(x.dtype)
    if fuses(*norms) and compiles(norms, x, shortcut):
        return _compiled(norms, x, weight, shortcut, activation)
    weight = weight[..., None, None]
    if not fuses(*norms):
        parts = zip(norms, x.chunk(len(norms), 1), weight.unbind(1), strict=True)
        terms = [norm(part) * own for norm, part, own in parts]
        terms = terms if shortcut is None else [shortcut, *terms]
        return activation(functools.reduce(torch.add, terms))
    scale, shift = _affine(norms)
    out, mean, inverse_std = _WeightedNorm.apply(  # type: ignore[no-untyped-call]
        x, scale, shift, weight, shortcut, norms[0].eps
    )
    _follow(norms, x, mean, inverse_std)
    return activation(out)


def blended_norm(
    x: Float[Tensor, "batch channel height width"],
    norm: Norm,
    weight: Float[Tensor, "batch 1"],
    shortcut: Float[Tensor, "batch channel height width"],
    activation: Activation,
    *,
    rectified: bool,
) -> Float[Tensor, "batch channel height width"]:
    """``v act(shortcut + norm(x)) + (1 - v) act(shortcut)`` (RDI-Net Eq. 9), v the weight.

    With ReLU it keeps in training what the static block keeps: the norm's input and the shortcut,
    which is its own ReLU where it is ``rectified``: nowhere negative, as what gave it is a ReLU.
    """
    weight = weight.to(x.dtype)
    if not (rectifies(activation) and fuses(norm)):
        executed = activation(shortcut + norm(x))
        return torch.lerp(activation(shortcut), executed, weight[..., None, None])
    if compiles([norm], x, shortcut):
        out, mean, variance = CompiledBlendedNorm.apply(  # type: ignore[no-untyped-call]
            x, norm.weight, norm.bias, weight, shortcut, norm.eps, rectified
        )
        update_statistics([norm], mean, variance, x.numel() // x.shape[1])
        return out
    out, mean, inverse_std = _BlendedNorm.apply(  # type: ignore[no-untyped-call]
        x, norm.weight, norm.bias, weight[..., None, None], shortcut, norm.eps, rectified
    )
    _follow([norm], x, mean, inverse_std)
    return out


@torch.no_grad()
def update_statistics(norms: Sequence[Norm], mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as ``nn.BatchNorm2d`` does: by the unbiased variance.

    ``mean`` and ``variance`` are of all norms one after the other, over ``count`` values each.
    """
    variance = variance * (count / max(1, count - 1))
    for norm, own_mean, own_variance in zip(
        norms, mean.chunk(len(norms)), variance.chunk(len(norms)), strict=True
    ):
        averages = ((norm.running_mean, own_mean), (norm.running_var, own_variance))
        for running, own in averages:
            running.lerp_(own.to(running.dtype), norm.momentum)  # type: ignore[union-attr, arg-type]
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]


def _compiled(
    norms: Sequence[Norm],
    x: Tensor,
    weight: Tensor,
    shortcut: Tensor | None,
    activation: Activation,
) -> Tensor:
    rectified = rectifies(activation)
    out, mean, variance = CompiledWeightedNorm.apply(  # type: ignore[no-untyped-call]
        x, *_affine(norms), weight, shortcut, norms[0].eps, rectified
    )
    update_statistics(norms, mean, variance, x.numel() // x.shape[1])
    return out if rectified else activation(out)


def _follow(norms: Sequence[Norm], x: Tensor, mean: Tensor, inverse_std: Tensor) -> None:
    """Update the statistics of ``norms`` by what :func:`_normalise` found in ``x``."""
    update_statistics(norms, mean, inverse_std.pow(-2) - norms[0].eps, x.numel() // x.shape[1])


def _affine(norms: Sequence[Norm]) -> tuple[Tensor, Tensor]:
    if len(norms) == 1:
        return norms[0].weight, norms[0].bias
    return torch.cat([norm.weight for norm in norms]), torch.cat([norm.bias for norm in norms])


def _normalise(
    x: Tensor, scale: Tensor, shift: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normed by its own statistics; their mean and inverse standard deviation."""
    return torch.native_batch_norm(x, scale, shift, None, None, True, 0.0, eps)


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
        normed, mean, inverse_std = _normalise(x, scale, shift, eps)
        ctx.save_for_backward(x, scale, shift, weight, mean, inverse_std)
        ctx.mark_non_differentiable(mean, inverse_std)
        first, *rest = zip(normed.chunk(weight.shape[1], 1), weight.unbind(1), strict=True)
        out = torch.mul(*first) if shortcut is None else torch.addcmul(shortcut, *first)
        for part, own in rest:
            out.addcmul_(part, own)
        return out, mean, inverse_std

    @staticmethod
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
        rectified: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        normed, mean, inverse_std = _normalise(x, scale, shift, eps)
        ctx.save_for_backward(x, scale, shift, weight, shortcut, mean, inverse_std)
        ctx.eps, ctx.rectified = eps, rectified
        ctx.mark_non_differentiable(mean, inverse_std)
        executed = normed.add_(shortcut).relu_()
        skipped = shortcut if rectified else shortcut.relu()
        return executed.lerp_(skipped, 1 - weight), mean, inverse_std

    @staticmethod
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
        skipped = shortcut if ctx.rectified else shortcut.relu()
        grad_executed = grad * weight
        threshold_backward(grad_executed, executed, 0, grad_input=grad_executed)
        grad_weight = executed.sub_(skipped).mul_(grad).sum((1, 2, 3), keepdim=True)
        del executed
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
            grad_executed, x, scale, None, None, mean, inverse_std, True, ctx.eps, [True] * 3
        )
        grad_shortcut = None
        if ctx.needs_input_grad[4]:
            kept = grad
            if not ctx.rectified:
                kept = threshold_backward(grad, skipped, 0, grad_input=skipped)
            grad_shortcut = grad_executed.addcmul_(kept, 1 - weight)
        return grad_x, grad_scale, grad_shift, grad_weight, grad_shortcut, None, None


def _channel(values: Tensor, x: Tensor) -> Tensor:
    return beside(values.to(x.dtype)[None], x)
