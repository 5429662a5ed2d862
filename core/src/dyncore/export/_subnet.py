"""The part of a network that images use."""

import copy
from collections.abc import Sequence, Set
from dataclasses import replace
from typing import TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.blocks import GatedBlock
from dyncore.cost import CostTable, cost_table
from dyncore.export._conditional import run_conditionally
from dyncore.gating import Decision, ExecutionPath, RouterState
from dyncore.network import DynamicNetwork, Output

Fixed: TypeAlias = tuple[bool | None, ...]
"""What is decided for good for each path of a block; None: each image decides."""


@final
class Subnet(nn.Module):
    """A network without its never-on paths, and without the routers that nothing needs any more.

    It answers as the network does for images whose decisions agree with ``fixed``. Paths are
    counted as in the network: its output says of removed ones that they are off. It runs in
    evaluation, masked unless told to skip.
    """

    def __init__(
        self, model: DynamicNetwork, fixed: Sequence[Fixed], routers: Set[str], table: CostTable
    ) -> None:
        """``model`` is copied; ``routers`` are the keys of those that stay, ``table`` its costs."""
        super().__init__()
        network = copy.deepcopy(model).eval().requires_grad_(False)
        self.info = model.info
        self.fixed = tuple(fixed)
        self.channels_per_block = model.channels_per_block
        self.backbone = network.backbone
        self.routers = _some(network.routers, routers)
        self.gates = _some(network.gates, gates_left(model, fixed))
        self.table = _without_routers(table, model, routers, self.gates.keys())
        """MACs of what is left, one entry per block of the network."""
        for block, decided in zip(self.backbone.blocks, fixed, strict=True):
            _remove_paths(self.backbone, block, decided)
        self.eval()

    @property
    def paths_per_block(self) -> tuple[int, ...]:
        return tuple(len(decided) for decided in self.fixed)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], *, skip: bool = False
    ) -> Output:
        """Logits and hard decisions for normalised images.

        ``skip``: a path that no image of the batch chose does not run (by ``torch.cond``).
        """
        x = self.backbone.stem(images)
        state: RouterState = ()
        decisions, features, pools = [], [], []
        for index, (block, fixed) in enumerate(zip(self.backbone.blocks, self.fixed, strict=True)):
            pooled = feature = decision = None
            key = str(index)
            if key in self.routers:
                pooled = x.mean((2, 3))
                feature, state = self.routers[key](pooled, state)
            if key in self.gates:
                decision = _decide(self.gates[key](feature, relaxed=False), fixed)
            running = None if decision is None else _running(decision, fixed)
            if skip and running is not None:
                x = run_conditionally(block, x, running, [v for v in fixed if v is not False])
            else:
                x = block(x, running)
            decisions.append(decision or _constant(x, fixed, self.channels_per_block[index]))
            features.append(feature)
            pools.append(pooled)
        return Output(
            logits=self.backbone.head(x),
            path=ExecutionPath(tuple(decisions)),
            router_features=features,
            pooled=pools,
        )


def whole(model: DynamicNetwork, input_size: tuple[int, int, int]) -> Subnet:
    """All of the network, for images of ``input_size``: each image decides everything."""
    fixed: list[Fixed] = [
        (None if str(index) in model.gates else True,) * paths
        for index, paths in enumerate(model.paths_per_block)
    ]
    return Subnet(model, fixed, model.routers.keys(), cost_table(model, input_size))


def gates_left(model: DynamicNetwork, fixed: Sequence[Fixed]) -> set[str]:
    """Keys of the gates that still decide something: a path, or the channels of one that runs."""
    return {
        str(index)
        for index, (decided, channels) in enumerate(
            zip(fixed, model.channels_per_block, strict=True)
        )
        if str(index) in model.gates and (None in decided or (channels and True in decided))
    }


def _some(modules: nn.ModuleDict, keys: Set[str]) -> nn.ModuleDict:
    return nn.ModuleDict({key: module for key, module in modules.items() if key in keys})


def _without_routers(
    table: CostTable, model: DynamicNetwork, routers: Set[str], gates: Set[str]
) -> CostTable:
    blocks = []
    for index, block in enumerate(table.blocks):
        key, cost = str(index), block.router
        if key in model.gates and key not in routers:
            cost = 0
        elif key in model.gates and key not in gates:
            cost -= model.gates[key].head.weight.numel()  # type: ignore[operator, union-attr]
        blocks.append(replace(block, router=cost))
    return replace(table, blocks=tuple(blocks))


def _remove_paths(backbone: nn.Module, block: GatedBlock, fixed: Fixed) -> None:
    kept = tuple(p for p, decided in zip(block.paths, fixed, strict=True) if decided is not False)
    if not kept:
        name = next(name for name, module in backbone.named_modules() if module is block)
        empty = GatedBlock([], downsample=block.downsample, activation=block.activation)
        backbone.set_submodule(name, empty.eval())
    elif len(kept) < len(block.paths):
        block.paths = kept
        block.branches = nn.ModuleList(path.owner for path in kept)


def _decide(decision: Decision, fixed: Fixed) -> Decision:
    """The decision with its fixed columns in place."""
    if all(decided is None for decided in fixed):
        return decision
    return replace(decision, on=_fill(decision.on, fixed), weight=_fill(decision.weight, fixed))


def _fill(values: Tensor, fixed: Fixed) -> Tensor:
    columns = zip(values.split(1, dim=1), fixed, strict=True)
    filled = [own if value is None else torch.full_like(own, value) for own, value in columns]
    return torch.cat(filled, dim=1)


def _running(decision: Decision, fixed: Fixed) -> Decision:
    """The columns of the paths that are left."""
    if False not in fixed:
        return decision
    kept = [index for index, decided in enumerate(fixed) if decided is not False]
    on, weight = (
        torch.cat([values[:, index : index + 1] for index in kept], dim=1)
        for values in (decision.on, decision.weight)
    )
    return replace(decision, on=on, weight=weight)


def _constant(x: Tensor, fixed: Fixed, channels: int) -> Decision:
    """The same for every image; gated channels go with their block, which is off."""
    columns = [x.new_full((x.shape[0], 1), bool(decided), dtype=torch.bool) for decided in fixed]
    channel_on = x.new_zeros((x.shape[0], channels), dtype=torch.bool) if channels else None
    return Decision.of(torch.cat(columns, dim=1), channel_on, dtype=x.dtype)
