"""Putting fused forms in the place of plain ones."""

from torch import nn

from dyncore.blocks import GatedBlock
from dyncore.kernels._block import fused_block
from dyncore.kernels._pool import pool
from dyncore.network import DynamicNetwork


def install_kernels(module: nn.Module) -> None:
    """Let blocks and networks in ``module``, itself included, train in their fused forms.

    The answers are those of the plain forms up to rounding, in less time and memory; second
    derivatives are refused. Evaluation and compiled graphs stay plain, and so does each block of
    which a part is not torch's own or does more than its class does; ``fused_block`` says when.
    """
    for part in module.modules():
        if isinstance(part, DynamicNetwork):
            if all(site.block.channel_axis == 1 for site in part.sites):
                part.pool = pool
        elif isinstance(part, GatedBlock):
            part.fused = fused_block
