"""Building a cost table from a network."""

import copy
from functools import partial, singledispatch

import torch
from torch import Tensor, nn

from dyncore.blocks import Path
from dyncore.cost._count import count_macs, trace
from dyncore.cost._table import BlockCost, CostTable, PathCost
from dyncore.gating import RouterState
from dyncore.network import DynamicNetwork, Site


@singledispatch
def cost_table(model: nn.Module, input_size: tuple[int, int, int]) -> CostTable:
    """MACs of every part of ``model`` for one image of ``input_size`` (channel, height, width).

    Counted by ``torch.utils.flop_counter`` on the meta device: nothing is computed. Raises
    ValueError for an input that does not fit the network. Rooms above register other kinds of
    models; TypeError for one that nobody registered.
    """
    raise TypeError(f"a {type(model).__name__} has no cost table: give a model of dyncore")


@cost_table.register
@torch.no_grad()
def _of_network(model: DynamicNetwork, input_size: tuple[int, int, int]) -> CostTable:
    channels = model.config.backbone.in_channels
    if len(input_size) != 3 or input_size[0] != channels or min(input_size) < 1:
        raise ValueError(f"input_size must be ({channels}, height, width), not {input_size}")
    image = torch.empty(1, *input_size, device="meta")
    with torch.device("meta"):
        plain = model.config.backbone.build(model.config.num_classes).eval()
    network = copy.deepcopy(model).to(device="meta", dtype=torch.float32).eval()
    x, stem = trace(lambda: network.backbone.stem(image))
    blocks: list[BlockCost] = []
    state: RouterState = ()
    for site in network.sites:
        state, router = _route(site, x, state)
        paths = tuple(
            PathCost(_layers(path, x), site.channels if path.exists else 0)
            for path in site.block.paths
        )
        shortcut = site.block.downsample
        projection = 0 if shortcut is None else count_macs(partial(shortcut, x))
        blocks.append(BlockCost(gated=site.gated, router=router, shortcut=projection, paths=paths))
        x = site.block(x)
    return CostTable(
        input_size=input_size,
        static=count_macs(lambda: plain(image)),
        stem=stem,
        head=count_macs(lambda: network.backbone.head(x)),
        blocks=tuple(blocks),
    )


def _route(site: Site, x: Tensor, state: RouterState) -> tuple[RouterState, int]:
    """The state after the site's router, and what router and gate cost."""

    def route() -> RouterState:
        if site.router is None or site.gate is None:
            return state
        feature, after = site.router(site.block.pool(x), state)
        site.gate(feature, relaxed=False)
        return after

    return trace(route)


def _layers(path: Path, x: Tensor) -> tuple[int, ...]:
    if path.exists and not path.layers:
        return (count_macs(partial(path, x)),)
    costs = []
    for conv, _, _ in path.layers:
        x, macs = trace(partial(conv, x))
        costs.append(macs)
    return tuple(costs)
