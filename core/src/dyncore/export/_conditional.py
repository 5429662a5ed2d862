"""A block that skips inside of a compiled graph."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import Activation, Path
from dyncore.gating import Decision, FrozenGate
from dyncore.network import Site

Branch = Callable[..., Tensor]


def run_conditionally(
    site: Site, x: Float[Tensor, "batch channel height width"], decision: Decision | None
) -> Float[Tensor, "batch out_channel out_height out_width"]:
    """``act(shortcut(x) + Σₙ wₙ pathₙ(x))``; a path that no image of the batch chose does not run.

    For hard decisions this is what both ways to combine give. A path that is fixed needs no
    condition. A block without a shortcut runs masked: of one path at least there is need.
    """
    block = site.block
    if decision is None or site.frozen or block.downsample is None:
        return block(x, None if site.frozen else decision)
    paths = [n for n, path in enumerate(block.paths) if path.exists]
    fixed = site.gate.fixed if isinstance(site.gate, FrozenGate) else (None,) * len(block.paths)
    out = block.downsample(x)
    for n in paths:
        activation = block.activation if n == paths[-1] else torch.clone
        executed, skipped = _branches(block.paths[n], activation)
        arguments = [x, out, decision.weight[:, n : n + 1, None, None]]
        if decision.channels is not None:
            # It may be a view beside weight.
            arguments.append(decision.channels.weight.clone())
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
