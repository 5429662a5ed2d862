"""Putting fused forms in the place of plain ones."""

from torch import nn

from dyncore.backbones import ResNet
from dyncore.blocks import GatedBlock, rectifies
from dyncore.gating import TwoLogitGate, is_plain
from dyncore.kernels._block import fused_block
from dyncore.kernels._pool import pool
from dyncore.network import DynamicNetwork


def install_kernels(module: nn.Module) -> None:
    """Let blocks and networks in ``module``, itself included, train in their fused forms.

    The answers are those of the plain forms up to rounding, in less time and memory; second
    derivatives are refused. Evaluation and compiled graphs stay plain, and so does each block of
    which a part is not torch's own or does more than its class does; ``fused_block`` says when.

    The blend takes its input for its own ReLU. So in networks of which that is not known, for
    another stem, or weights that are no probabilities, blended blocks stay plain.
    """
    plain: set[GatedBlock] = set()
    for network in module.modules():
        if isinstance(network, DynamicNetwork):
            if all(site.block.channel_axis == 1 for site in network.sites):
                network.pool = pool
            if not _rectified(network):
                plain.update(s.block for s in network.sites if s.block.combine == "blend")
    for block in module.modules():
        if isinstance(block, GatedBlock) and block not in plain:
            block.fused = fused_block


def _rectified(network: DynamicNetwork) -> bool:
    """Whether all that its blocks see is nowhere negative."""
    backbone = network.backbone
    return (
        type(backbone) is ResNet
        and rectifies(backbone.relu)
        and is_plain(backbone.maxpool, nn.Identity, nn.MaxPool2d)
        and all(rectifies(site.block.activation) for site in network.sites)
        and all(isinstance(site.gate, TwoLogitGate) for site in network.sites if site.gated)
    )
