"""A block that skips inside of a compiled graph."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import Activation, GatedBlock, Path
from dyncore.gating import Decision

Branch = Callable[..., Tensor]


def run_conditionally(
    block: GatedBlock,
    x: Float[Tensor, "batch channel height width"],
    decision: Decision,
    fixed: Sequence[bool | None],
) -> Float[Tensor, "batch out_channel out_height out_width"]:
    """``act(shortcut(x) + Σₙ wₙ pathₙ(x))``; a path that no image of the batch chose does not run.

    For hard decisions this is what both ways to combine give. Paths whose ``fixed`` is None are
    decided. A block without a shortcut runs masked: of one path at least there is need.
    """
    if block.downsample is None:
        return block(x, decision)
    out = block.downsample(x)
    weights = decision.weight[..., None, None].split(1, dim=1)
    for n, (path, weight) in enumerate(zip(block.paths, weights, strict=True)):
        activation = block.activation if n == len(block.paths) - 1 else torch.clone
        executed, skipped = _branches(path, activation)
        arguments = [x, out, weight]
        if decision.channel_weight is not None:
            arguments.append(decision.channel_weight.clone())  # it may be a view beside weight
        if fixed[n] is None:
            out = torch.cond(decision.on[:, n].any(), executed, skipped, tuple(arguments))
        else:
            out = executed(*arguments)
    return out


def _branches(path: Path, activation: Activation) -> tuple[Branch, Branch]:
    """The branches of a condition; they may not return a tensor that they are given."""

    def executed(x: Tensor, out: Tensor, weight: Tensor, *channels: Tensor) -> Tensor:
        return activation(out + weight * path(x, *channels))

    def skipped(x: Tensor, out: Tensor, weight: Tensor, *channels: Tensor) -> Tensor:
        return activation(out).clone()

    return executed, skipped
