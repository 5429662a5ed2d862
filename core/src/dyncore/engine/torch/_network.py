"""Folded blocks that compute only what each image chose, in plain torch.

This is :meth:`dyncore.blocks.GatedBlock.run_skipped` with the norms folded away.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dyncore.blocks import Path
from dyncore.engine._executor import BlockRunner, Executor, repeat_torch_router
from dyncore.engine.plan import BlockPlan, FoldedPath, Plan, activate
from dyncore.gating import Decision, RouterState


class TorchBlock(BlockRunner):
    """``act(shortcut(x) + Σₙ wₙ pathₙ(x))``, each path on the images that chose it."""

    def __init__(
        self, plan: BlockPlan, paths: Sequence[Callable[[Tensor], Tensor]] | None = None
    ) -> None:
        """``paths`` are those of ``plan`` in another form that computes the same."""
        self.plan = plan
        self.paths = plan.paths if paths is None else paths

    def run(
        self,
        x: Tensor,
        decision: Decision | None,
        *,
        scales: bool = False,
        pooled: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`BlockRunner.run`; ``x`` stays as it is."""
        if self.plan.module is not None:
            out = self.plan.module(x, decision)
            if pooled is not None:
                pooled.copy_(out.mean((2, 3)))
            return out
        total = self._shortcut(x)
        if decision is None:
            for path in self.paths:
                total = total + path(x)
        else:
            # The host reads all of a block's decisions at once: a GPU's queue is awaited once.
            for n, on in enumerate(decision.on.T.cpu()):
                rows = on.nonzero()[:, 0].to(x.device)
                if len(rows):
                    chosen = decision.images(rows)
                    residual = self._residual(n, x[rows], chosen)
                    if scales:
                        weight = chosen.weight[:, n].to(x.dtype)
                        residual = residual * weight.reshape(-1, *(1,) * (x.ndim - 1))
                    total = total.index_add(0, rows, residual)
        if total is not x or not self.plan.input_activated:
            total = activate(total, self.plan.activation)
        if pooled is not None:
            pooled.copy_(total.mean((2, 3)))
        return total

    def _shortcut(self, x: Tensor) -> Tensor:
        """``x`` itself where the shortcut is the identity."""
        if self.plan.shortcut is None:
            return x.new_zeros(len(x), *self.plan.out_size)
        return x if self.plan.keeps_input else self.plan.shortcut(x)

    def _residual(self, n: int, x: Tensor, decision: Decision) -> Tensor:
        """Path ``n`` of images that all chose it, without its weight."""
        channels = decision.channels
        if channels is None:
            return self.paths[n](x)
        path = self.plan.paths[n]
        assert isinstance(path, (FoldedPath, Path))
        images = zip(x.split(1), channels.on.cpu(), channels.weight.to(x.dtype), strict=True)
        return torch.cat(
            [
                path.run_channels(image, on.to(x.device), salience)
                if isinstance(path, Path)
                else run_channels(path, image, on, salience)
                for image, on, salience in images
            ]
        )


def run_channels(path: FoldedPath, x: Tensor, on: Tensor, salience: Tensor) -> Tensor:
    """What one image (1, C, H, W) gives with only those channels that are ``on`` (channel).

    ``salience`` (channel) multiplies the first layer's output before its activation; neither its
    other outputs nor the same inputs of the second layer are touched.
    """
    first, second, *rest = path.layers
    assert first.conv.bias is not None, "a folded layer has one"
    keep = on.nonzero()[:, 0].to(x.device)
    if len(keep) == 0:  # a convolution needs a channel: one that counts 0 times
        keep, salience = keep.new_zeros(1), torch.zeros_like(salience)
    weight, bias = first.conv.weight[keep], first.conv.bias[keep]
    x = _convolve(first.conv, x, weight, bias) * salience[keep][:, None, None]
    x = activate(x, first.activation)
    x = _convolve(second.conv, x, second.conv.weight[:, keep], second.conv.bias)
    x = activate(x, second.activation)
    for layer in rest:
        x = layer(x)
    return x


def _convolve(conv: torch.nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation)


class TorchNetwork(Executor):
    """A plan on channels-last tensors."""

    def __init__(self, plan: Plan, blocks: Sequence[TorchBlock] | None = None) -> None:
        """``blocks`` are those of ``plan``, where they are built already."""
        self.plan = plan
        self.blocks = [TorchBlock(block) for block in plan.blocks] if blocks is None else blocks

    def stem(self, images: Tensor) -> Tensor:
        """See :meth:`Executor.stem`."""
        x = self.plan.stem(images.contiguous(memory_format=torch.channels_last))
        if self.plan.blocks[0].channel_axis != 1:
            return x
        return x.contiguous(memory_format=torch.channels_last)

    def copy(self, x: Tensor) -> Tensor:
        """See :meth:`Executor.copy`."""
        return x.clone()

    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Executor.head`."""
        return self.plan.head(x), x

    def repeat_router(self, index: int, x: Tensor, state: RouterState, times: int) -> RouterState:
        """See :meth:`Executor.repeat_router`."""
        return repeat_torch_router(self.plan.blocks[index], x, state, times)
