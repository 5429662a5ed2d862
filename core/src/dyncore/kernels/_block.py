"""A block in training, as few operations: what is put in the place of its equation."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import GatedBlock, Layer, identity, rectifies
from dyncore.gating import Decision
from dyncore.kernels._blended_norm import blended_norm
from dyncore.kernels._parallel import parallel, weighted_sum
from dyncore.kernels._statistics import fuses
from dyncore.kernels._transforms import transforms
from dyncore.kernels._weighted_norm import activated_norm, weighted_norm


def fused_block(
    block: GatedBlock,
    x: Float[Tensor, "batch channel height width"],
    decision: Decision | None,
) -> Float[Tensor, "batch out_channel out_height out_width"] | None:
    """What ``block.forward`` gives in training; None where it has to run as it stands.

    That is without a decision, in a graph that is being compiled, under ``torch.func``, for one
    image, which torch's norms may refuse, for a block of which a path was removed, and where the
    paths' norms do more or less than to normalise by the batch: see ``fuses``.
    """
    if transforms() or decision is None or len(x) < 2:
        return None
    paths = [path.layers for path in block.paths]
    channels = None if decision.channels is None else decision.channels.weight
    blends = block.combine == "blend"
    if not (
        all(paths)
        and all(path.is_chain for path in block.paths)
        and fuses(layer.norm for layers in paths for layer in layers)
        and all(layers[-1].activation is identity for layers in paths)
        and (channels is None or len(paths[0]) > 1)
        and (rectifies(block.activation) or not blends)
    ):
        return None
    shortcut = None if block.downsample is None else block.downsample(x)
    if blends and shortcut is not None:
        y, norm = _convolved(paths[0], x, channels), paths[0][-1].norm
        return blended_norm(y, norm, decision.weight, shortcut)
    if len(paths) > 1 and channels is None and parallel(paths):
        return weighted_sum(paths, x, decision.weight, shortcut, block.activation)
    out, last = shortcut, paths[-1]
    for layers, weight in zip(paths, decision.weight[..., None].split(1, dim=1), strict=True):
        y, norm = _convolved(layers, x, channels), layers[-1].norm
        follows = block.activation if layers is last else identity
        out = weighted_norm(y, [norm], weight, out, activation=follows)
    return out


def _convolved(layers: Sequence[Layer], x: Tensor, channel_weight: Tensor | None) -> Tensor:
    """What a path's last norm is given; ``channel_weight`` scales its first one's output."""
    *inner, last = layers
    for conv, norm, activation in inner:
        if channel_weight is None:
            x = activated_norm(conv(x), [norm], activation)
        else:
            x = weighted_norm(conv(x), [norm], channel_weight[:, None], activation=activation)
            channel_weight = None
    return last.conv(x)
