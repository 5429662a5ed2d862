"""Which plans the compiled code knows."""

from collections.abc import Sequence

from torch import nn

from dyncore.blocks import PadShortcut, Path
from dyncore.engine.native._library import MAX_EARLIER, MAX_PATHS
from dyncore.engine.plan import ActivationKind, BlockPlan, FoldedHead, FoldedPath, FoldedStem, Plan
from dyncore.gating import GateWeights, RouterWeights, is_plain


def supported(plan: Plan) -> bool:
    """Whether all of its blocks can run in compiled code."""
    return all(block.module is None and _supports(block) for block in plan.blocks)


def routes(plan: Plan) -> bool:
    """Whether compiled code knows all routers and gates, and needs no torch between blocks."""
    routers = [block.router for block in plan.blocks if block.router is not None]
    gates = [block.gate for block in plan.blocks if block.gate is not None]
    known = [router for router in routers if isinstance(router, RouterWeights)]
    widths = {router.align.weight.shape[0] for router in known if router.align}
    return (
        len(known) == len(routers)
        and all(isinstance(gate, GateWeights) for gate in gates)
        and len(widths) <= 1
        and all(len(router.decays) <= MAX_EARLIER for router in known)
    )


def supports_stem(stem: object) -> bool:
    """Whether it is a convolution and, behind a ReLU only, perhaps a maximum.

    The zeros around a map would change the maximum of negative numbers.
    """
    return (
        isinstance(stem, FoldedStem)
        and is_square(stem.layer.conv, (1, 3, 5, 7))
        and (not stem.max_pool or stem.layer.activation == ActivationKind.RELU)
    )


def supports_head(head: object) -> bool:
    """Whether it is a linear layer, perhaps with a convolution of single pixels before it."""
    return isinstance(head, FoldedHead) and (head.layer is None or is_square(head.layer.conv, (1,)))


def is_square(conv: nn.Conv2d, kernels: Sequence[int], *, depthwise: bool = False) -> bool:
    """Whether compiled code can run it: square, with zeros that keep the size, without groups.

    Or, where it may be ``depthwise``, each channel by itself.
    """
    kernel = conv.kernel_size[0]
    return (
        kernel in kernels
        and conv.kernel_size == (kernel, kernel)
        and conv.stride[0] == conv.stride[1]
        and conv.padding == (kernel // 2, kernel // 2)
        and conv.padding_mode == "zeros"
        and (conv.groups == 1 or (depthwise and is_depthwise(conv)))
        and conv.dilation == (1, 1)
    )


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether each output channel is of the input channel of its own number."""
    return conv.groups == conv.in_channels == conv.out_channels > 1


def _supports(block: BlockPlan) -> bool:
    shortcut = block.shortcut
    return (
        all(_supports_path(path, block.channels) for path in block.paths)
        and len(block.paths) <= MAX_PATHS
        and block.activation in (ActivationKind.NONE, ActivationKind.RELU)
        and (
            shortcut is None
            or is_plain(shortcut, nn.Identity, PadShortcut)
            or (is_plain(shortcut, nn.Conv2d) and is_square(shortcut, (1, 3)))
        )
    )


def _supports_path(path: FoldedPath | Path, channels: int) -> bool:
    """A salience multiplies after the first activation here: a ReLU lets what is positive pass."""
    if not isinstance(path, FoldedPath) or len(path.layers) < 2:
        return False
    first, *_, last = path.layers
    return (
        last.activation == ActivationKind.NONE
        and is_square(last.conv, (1, 3))
        and (not channels or first.activation == ActivationKind.RELU)
        and all(is_square(layer.conv, (1, 3), depthwise=True) for layer in path.layers)
    )
