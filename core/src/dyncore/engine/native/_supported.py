"""Which plans the compiled code knows."""

from collections.abc import Sequence

from torch import nn

from dyncore.blocks import PadShortcut, Path
from dyncore.engine.native._library import MAX_EARLIER, MAX_PATHS
from dyncore.engine.plan import (
    ActivationKind,
    BlockPlan,
    FoldedHead,
    FoldedLayer,
    FoldedPath,
    FoldedStem,
    Plan,
)
from dyncore.gating import GateWeights, RouterWeights, is_plain


def supported(plan: Plan) -> bool:
    """Whether any of its blocks can run in compiled code, and the others beside them, on maps."""
    sizes = [(block.in_size, block.out_size) for block in plan.blocks]
    on_maps = all(len(before) == len(after) == 3 for before, after in sizes)
    return on_maps and any(map(runs_compiled, plan.blocks))


def runs_compiled(block: BlockPlan) -> bool:
    """Whether compiled code knows all of it."""
    return block.module is None and _supports(block)


def can_round(plan: Plan) -> bool:
    """Whether compiled code knows all of its blocks in bfloat16, too."""
    paths = (path for block in plan.blocks for path in block.paths)
    layers = [layer for path in paths if isinstance(path, FoldedPath) for layer in path.layers]
    return all(map(runs_compiled, plan.blocks)) and not any(map(_is_of_libraries, layers))


def routes(plan: Plan) -> bool:
    """Whether compiled code knows all routers and gates, and needs no torch between blocks."""
    if not all(map(runs_compiled, plan.blocks)):
        return False
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


def is_square(conv: nn.Conv2d, kernels: Sequence[int], *, grouped: bool = False) -> bool:
    """Whether compiled code can run it: square, with zeros that keep the size.

    Without groups, unless it may be ``grouped``.
    """
    kernel = conv.kernel_size[0]
    return (
        kernel in kernels
        and conv.kernel_size == (kernel, kernel)
        and conv.stride[0] == conv.stride[1]
        and conv.padding == (kernel // 2, kernel // 2)
        and conv.padding_mode == "zeros"
        and (conv.groups == 1 or grouped)
        and conv.dilation == (1, 1)
    )


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether each output channel is of the input channel of its own number."""
    return conv.groups == conv.in_channels == conv.out_channels > 1


def is_grouped(conv: nn.Conv2d) -> bool:
    """Whether it has groups of more than one channel."""
    return conv.groups > 1 and not is_depthwise(conv)


def _is_of_libraries(layer: FoldedLayer) -> bool:
    """Whether it is one that compiled code knows in the model's own type alone."""
    far = layer.conv.kernel_size[0] > 3
    more = layer.excitation is not None or layer.standardised is not None
    return more or far or is_grouped(layer.conv)


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
        and last.excitation is None
        and last.standardised is None
        and is_square(last.conv, (1, 3))
        and (not channels or first.activation == ActivationKind.RELU)
        and all(
            is_square(layer.conv, (1, 3), grouped=True)
            or (is_depthwise(layer.conv) and is_square(layer.conv, (5, 7), grouped=True))
            for layer in path.layers
        )
    )
