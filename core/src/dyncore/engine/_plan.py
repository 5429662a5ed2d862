"""What there is to run: a trained network as stem, routers, gates, folded paths and head."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dyncore.blocks import GatedBlock, PadShortcut, Path, identity, relu, relu6
from dyncore.engine._convolution import Activation
from dyncore.engine._fold import fold, foldable, folded
from dyncore.gating import Decision, Evaluation, RouterState
from dyncore.network import DynamicNetwork

ACTIVATIONS: dict[object, Activation] = {
    relu: "relu",
    torch.nn.functional.relu: "relu",
    relu6: "relu6",
    identity: "none",
}


@dataclass(frozen=True)
class FoldedLayer:
    """Convolution with its norm folded in, and what follows it."""

    conv: nn.Conv2d
    activation: Activation


@dataclass(frozen=True)
class BlockPlan:
    """One block."""

    router: Evaluation | None
    """None: not gated."""
    gate: Callable[[Tensor], Decision] | None
    scales: bool
    """Whether the gate's weights may be other than 0 and 1."""
    paths: tuple[tuple[FoldedLayer, ...] | Path, ...]
    """A path whose layers cannot be folded stays as it is and runs as a module."""
    shortcut: nn.Module | None
    """None: there is none; ``nn.Identity``: the block's input."""
    activation: Activation
    channels: int
    """Gated channels; 0: none."""
    settled: bool
    """Whether the block before ended in the same activation, so that to skip is to do nothing."""
    in_size: tuple[int, int, int]
    out_size: tuple[int, int, int]

    @property
    def keeps_input(self) -> bool:
        """Whether the shortcut is the block's input itself."""
        return isinstance(self.shortcut, nn.Identity)


@dataclass(frozen=True)
class Plan:
    """A network for one input size, in evaluation, without what only training needs."""

    stem: nn.Module
    blocks: tuple[BlockPlan, ...]
    head: nn.Module


class _Method(nn.Module):
    """The stem or the head of a backbone as a module of its own."""

    def __init__(self, backbone: nn.Module, name: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self.backbone, self.name)(x)


@torch.no_grad()
def plan(model: DynamicNetwork, image: Tensor) -> Plan:
    """Plan ``model``, in evaluation, for images like ``image`` (1, 3, H, W), on its device.

    The plan holds parts of ``model`` itself.
    """
    stem = folded(_Method(model.backbone, "stem"), image)
    x = stem(image)
    state: RouterState = ()
    blocks: list[BlockPlan] = []
    if any(not path.names for site in model.sites for path in site.block.paths):
        raise ValueError("the engine does not run networks from which paths were removed")
    for site in model.sites:
        block, router, gate = site.block, None, None
        scales = False
        pooled = x.mean((2, 3))
        if site.router is not None and site.gate is not None:
            router = folded(site.router, pooled, state).lean()  # type: ignore[operator]
            gate, scales = site.gate.lean(), site.gate.scales
            state = router(pooled, state)[1]
        shortcut = block.downsample
        if shortcut is not None and not isinstance(shortcut, (nn.Identity, PadShortcut)):
            shortcut = _single(folded(shortcut, x))
        out = block(x)
        activation = _activation(block)
        settled = activation == "none" or (bool(blocks) and blocks[-1].activation == activation)
        blocks.append(
            BlockPlan(
                router=router,
                gate=gate,
                scales=scales,
                paths=tuple(_layers(path, site.channels) for path in block.paths),
                shortcut=shortcut,
                activation=activation,
                channels=site.channels,
                settled=settled,
                in_size=tuple(x.shape[1:]),
                out_size=tuple(out.shape[1:]),
            )
        )
        x = out
    return Plan(stem, tuple(blocks), folded(_Method(model.backbone, "head"), x))


def _layers(path: Path, channels: int) -> tuple[FoldedLayer, ...] | Path:
    layers = path.layers
    known = all(foldable(layer.norm) and layer.activation in ACTIVATIONS for layer in layers)
    if not known or (channels and not _gathers(path)):
        return path
    return tuple(
        FoldedLayer(fold(layer.conv, layer.norm), ACTIVATIONS[layer.activation])  # type: ignore[arg-type]
        for layer in layers
    )


def _gathers(path: Path) -> bool:
    """Whether single channels between the first two layers can be left out of matrix products.

    Both must be plain, square convolutions, with a ReLU between them: a salience passes it.
    """
    layers = path.layers
    return (
        len(layers) > 1
        and ACTIVATIONS[layers[0].activation] == "relu"
        and all(
            conv.groups == 1
            and conv.dilation == (1, 1)
            and conv.padding_mode == "zeros"
            and conv.padding in ((0, 0), (1, 1))
            and conv.kernel_size[0] == conv.kernel_size[1]
            and conv.stride[0] == conv.stride[1]
            for conv, _, _ in layers[:2]
        )
    )


def _activation(block: GatedBlock) -> Activation:
    known = ACTIVATIONS.get(block.activation)
    if known is None or known == "relu6":
        raise ValueError(
            f"the engine knows blocks that end in a ReLU or in nothing, not in {block.activation}"
        )
    return known


def _single(module: nn.Module) -> nn.Module:
    """The one convolution of a folded projection shortcut, or the module as it is."""
    left = [part for part in module.children() if not isinstance(part, nn.Identity)]
    return left[0] if len(left) == 1 and isinstance(left[0], nn.Conv2d) else module
