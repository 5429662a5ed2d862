"""Finding what no image uses, or every image."""

from collections.abc import Iterable, Mapping, Sequence, Set

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.blocks import GatedBlock
from dyncore.cost import cost_table
from dyncore.export._subnet import Fixed, Subnet, gates_left
from dyncore.gating import RouterState
from dyncore.network import DynamicNetwork


def freeze_unused(
    model: DynamicNetwork, batches: Iterable[Float[Tensor, "batch 3 height width"]]
) -> Subnet:
    """The subnet that answers alike for all images of ``batches``, which are normalised.

    A path that is off for every image is removed; one that is on with weight 1 for every image is
    gated no more. A router goes with its gate, unless a later gate reads what it hands on. A block
    without a shortcut is left as it is where none of its paths is always on: something has to run.
    Raises ValueError for a model in training mode and for no images.
    """
    if model.training:
        raise ValueError("freeze_unused needs a model in evaluation: call model.eval() first")
    never = always = output = None
    for images in batches:
        with torch.no_grad():
            output = model(images)
        off, one = ~output.path.on.any(0), (output.path.weight == 1).all(0)
        never = off if never is None else never & off
        always = one if always is None else always & one
    if output is None or never is None or always is None:
        raise ValueError("there are no calibration images: at least one batch is needed")
    sizes = list(model.paths_per_block)
    columns = zip(never.split(sizes), always.split(sizes), strict=True)
    fixed = [
        _fix(block, off.tolist(), one.tolist())
        for block, (off, one) in zip(model.backbone.blocks, columns, strict=True)
    ]
    pools = {str(i): pooled for i, pooled in enumerate(output.pooled) if pooled is not None}
    routers = _needed(model, pools, gates_left(model, fixed))
    height, width = images.shape[2:]
    return Subnet(model, fixed, routers, cost_table(model, (3, height, width)))


def _fix(block: GatedBlock, never: Sequence[bool], always: Sequence[bool]) -> Fixed:
    fixed = tuple(
        False if off else True if one else None for off, one in zip(never, always, strict=True)
    )
    return fixed if block.downsample is not None or True in fixed else (None,) * len(fixed)


def _needed(model: DynamicNetwork, pools: Mapping[str, Tensor], gates: Set[str]) -> set[str]:
    """Keys of the routers that one of ``gates`` reads, itself or through the router state.

    Autograd knows: a router that is not read gets no gradient.
    """
    if not gates:
        return set()
    leaves = {key: pooled.detach().requires_grad_() for key, pooled in pools.items()}
    state: RouterState = ()
    read = []
    with torch.enable_grad():
        for key, leaf in leaves.items():
            feature, state = model.routers[key](leaf, state)
            if key in gates:
                read.append(feature.sum())
        gradients = torch.autograd.grad(
            torch.stack(read).sum(), list(leaves.values()), allow_unused=True
        )
    return {key for key, found in zip(leaves, gradients, strict=True) if found is not None}
