"""What there is to run: a trained network as stem, routers, gates, folded paths and head."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from dyncore.blocks import GatedBlock, PadShortcut, Path
from dyncore.data import Preprocessing
from dyncore.engine.plan._fold import agree, fold_head, fold_path, fold_shortcut, fold_stem
from dyncore.engine.plan._kind import kind_of
from dyncore.engine.plan._layers import (
    ActivationKind,
    FoldedHead,
    FoldedPath,
    FoldedStem,
    PlannedActivation,
    normalized,
)
from dyncore.engine.plan._refused import check_runs
from dyncore.gating import (
    Decision,
    Gate,
    GateWeights,
    Router,
    RouterState,
    RouterWeights,
    describes,
    does_more,
    is_plain,
)
from dyncore.network import DynamicNetwork

_Folded = TypeVar("_Folded", bound=Callable[[Tensor], Tensor])
_Module = TypeVar("_Module", bound=Callable[[Tensor], Tensor])


@dataclass(frozen=True)
class BlockPlan:
    """One site: a block, and what decides about it."""

    router: RouterWeights | Router | None
    """None: not gated. A router that cannot be told by weights runs as it is."""
    gate: GateWeights | Gate | None
    """The same of the gate."""
    scales: bool
    """Whether the gate's weights may be other than 0 and 1."""
    paths: tuple[FoldedPath | Path, ...]
    """A path whose layers cannot be folded stays as it is and runs as a module."""
    shortcut: nn.Module | None
    """None: there is none; ``nn.Identity``: the block's input; a projection is one convolution."""
    activation: PlannedActivation
    channels: int
    """Gated channels; 0: none."""
    input_activated: bool
    """Whether the block before ended in the same activation, so that to skip is to do nothing."""
    in_size: tuple[int, ...]
    out_size: tuple[int, ...]
    module: GatedBlock | None = None
    """The block itself, where it is more than a GatedBlock and runs as a module, every path
    weighted by its decision; None: its parts run."""
    channel_axis: int = 1
    """Of the block's input: 1, or -1 for tokens."""

    @property
    def keeps_input(self) -> bool:
        """Whether the shortcut is the block's input itself."""
        return is_plain(self.shortcut, nn.Identity)

    def decide(self, feature: Tensor) -> Decision:
        """The gate's hard decision."""
        assert self.gate is not None
        if isinstance(self.gate, GateWeights):
            return self.gate(feature)
        return self.gate(feature, relaxed=False)


@dataclass(frozen=True)
class Plan:
    """A network for one input size, in evaluation, without what only training needs."""

    stem: FoldedStem | Callable[[Tensor], Tensor]
    blocks: tuple[BlockPlan, ...]
    head: FoldedHead | Callable[[Tensor], Tensor]

    @property
    def depth(self) -> int:
        """Layers of the longest way through all blocks."""
        folded = ([p for p in block.paths if isinstance(p, FoldedPath)] for block in self.blocks)
        return sum(max((len(path.layers) for path in paths), default=1) for paths in folded)

    @property
    def modules(self) -> tuple[str, ...]:
        """What runs as a module, since its weights do not tell what it computes."""
        ends = {"stem": (self.stem, FoldedStem), "head": (self.head, FoldedHead)}
        named = [name for name, (part, folded) in ends.items() if not isinstance(part, folded)]
        for index, block in enumerate(self.blocks):
            named += [f"block {index}{part}" for part in _modules(block)]
        return tuple(named)


def _modules(block: BlockPlan) -> Iterator[str]:
    if isinstance(block.router, Router):
        yield " router"
    if isinstance(block.gate, Gate):
        yield " gate"
    if block.module is not None:
        yield ""
        return
    known = (nn.Identity, nn.Conv2d, PadShortcut)
    if block.shortcut is not None and not is_plain(block.shortcut, *known):
        yield " shortcut"
    for n, path in enumerate(block.paths):
        if isinstance(path, Path):
            yield f" path {n}"


@torch.no_grad()
def plan(
    model: DynamicNetwork,
    image: Tensor,
    preprocessing: Preprocessing | None = None,
    *,
    first: int | None = None,
) -> Plan:
    """Plan ``model``, in evaluation, for images like ``image`` (1, C, H, W), on its device.

    With ``preprocessing`` they are in [0, 1], and the stem normalises them. The plan holds parts of
    ``model`` itself. What was folded is compared with its modules on ``image``; where the two
    disagree, the modules run. With ``first`` it is the plan of a static network's rest: ``image``
    is what the block of that number is given, and its stem is a copy.
    """
    check_runs(model)
    backbone = model.backbone
    if preprocessing is not None:
        image = preprocessing.normalize(image)
    stem: FoldedStem | Callable[[Tensor], Tensor] = torch.clone
    x = image
    if first is None:
        stem = _agreeing(fold_stem(backbone), backbone.stem, image)
        x = backbone.stem(image)
    state: RouterState = ()
    blocks: list[BlockPlan] = []
    for site in model.sites[first:]:
        block, router, gate = site.block, None, None
        if site.router is not None and site.gate is not None:
            router, state = _router(site.router, block.pool(x), state)
            gate = _gate(site.gate)
        out = block(x)
        kind = kind_of(block.activation)
        activation = block.activation if kind is None else kind
        unchanged = (ActivationKind.NONE, *(before.activation for before in blocks[-1:]))
        blocks.append(
            BlockPlan(
                router=router,
                gate=gate,
                scales=site.gate is not None and site.gate.scales,
                paths=tuple(_path(path, site.channels, x) for path in block.paths),
                shortcut=_shortcut(block, x),
                activation=activation,
                channels=site.channels,
                input_activated=isinstance(activation, ActivationKind) and activation in unchanged,
                in_size=tuple(x.shape[1:]),
                out_size=tuple(out.shape[1:]),
                module=None if is_plain(block, GatedBlock) else block,
                channel_axis=block.channel_axis,
            )
        )
        x = out
    whole = stem if preprocessing is None else _normalizing(stem, preprocessing)
    return Plan(whole, tuple(blocks), _agreeing(fold_head(backbone), backbone.head, x))


def _agreeing(folded: _Folded | None, module: _Module, x: Tensor) -> _Folded | _Module:
    """``folded``, if there is one and it answers as ``module`` does; else ``module``."""
    return folded if folded is not None and agree(folded(x), module(x)) else module


def _normalizing(
    stem: FoldedStem | Callable[[Tensor], Tensor], preprocessing: Preprocessing
) -> FoldedStem | Callable[[Tensor], Tensor]:
    """``stem`` for images in [0, 1]."""
    if isinstance(stem, FoldedStem):
        return replace(stem, preprocessing=preprocessing)
    return lambda images: stem(normalized(images, preprocessing))


def _router(
    router: Router, pooled: Tensor, state: RouterState
) -> tuple[RouterWeights | Router, RouterState]:
    """The router to run, and the state after it."""
    feature, after = router(pooled, state)
    told = describes(router, "as_weights", "forward") and not does_more(router)
    weights = router.as_weights() if told else None
    if weights is None:
        return router, after
    ours, our_state = weights(pooled, state)
    same = len(our_state) == len(after) and all(map(agree, (ours, *our_state), (feature, *after)))
    return (weights if same else router), after


def _gate(gate: Gate) -> GateWeights | Gate:
    """Not compared: rounding may turn a decision."""
    told = describes(gate, "as_weights", "forward") and not does_more(gate)
    weights = gate.as_weights() if told else None
    return gate if weights is None else weights


def _path(path: Path, channels: int, x: Tensor) -> FoldedPath | Path:
    folded = fold_path(path)
    if folded is not None and channels and not _gathers(folded):
        return path
    return _agreeing(folded, path, x)


def _gathers(path: FoldedPath) -> bool:
    """Whether single channels between the first two layers can be left out."""
    return len(path.layers) > 1 and all(layer.conv.groups == 1 for layer in path.layers[:2])


def _shortcut(block: GatedBlock, x: Tensor) -> nn.Module | None:
    shortcut = block.downsample
    return None if shortcut is None else _agreeing(fold_shortcut(shortcut), shortcut, x)
