"""The part of a network that images use: what none of them uses, or every one, is fixed."""

import copy
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.gating import BlindRouter, FrozenGate, RouterState
from dyncore.network import DynamicNetwork, Site

Fixed: TypeAlias = tuple[bool | None, ...]
"""What is decided for good for each path of a block; None: each image decides."""


def freeze_unused(
    model: DynamicNetwork, batches: Iterable[Float[Tensor, "batch channel height width"]]
) -> DynamicNetwork:
    """A copy of ``model`` that answers alike for all images of ``batches``, which are normalised.

    A path that is off for every image is removed; one that is on with weight 1 for every image is
    gated no more. A router goes with its gate, unless a later gate reads what it hands on. A block
    without a shortcut is left as it is where none of its paths is always on: something has to run.
    Paths are counted as in ``model``: decisions say of removed ones that they are off. Raises
    ValueError for a model in training mode and for no images.
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
    fixed = [
        _fix(site, never[site.columns].tolist(), always[site.columns].tolist())
        for site in model.sites
    ]
    return freeze(model, fixed, output.pooled)


def fixed_paths(model: DynamicNetwork) -> tuple[Fixed, ...]:
    """What is decided for good at each site; a block that is not gated is always on."""
    return tuple(
        site.gate.fixed
        if isinstance(site.gate, FrozenGate)
        else (None if site.gated else True,) * len(site.block.paths)
        for site in model.sites
    )


def freeze(
    model: DynamicNetwork, fixed: Sequence[Fixed], pooled: Sequence[Tensor | None]
) -> DynamicNetwork:
    """A copy of ``model`` whose paths are ``fixed``, without those that are off.

    ``pooled`` is what routers read, of any images: it tells which of them hand something on.
    """
    frozen = copy.deepcopy(model)
    frozen.info = replace(model.info, dial=None)  # which knows what the whole network costs
    pairs = list(zip(frozen.sites, fixed, strict=True))
    deciding = {site.index for site, decided in pairs if _decides(site, decided)}
    read = _read_routers(model, pooled, deciding)
    for site, decided in pairs:
        for n, value in enumerate(decided):
            if value is False:
                site.block.remove_path(n)
        if site.gate is None or all(value is None for value in decided):
            continue
        gate = site.gate if site.index in deciding else None
        frozen.gates[str(site.index)] = FrozenGate(decided, site.channels, gate)
        if site.index not in read:
            frozen.routers[str(site.index)] = BlindRouter()
    return frozen.train(model.training)


def _fix(site: Site, never: Sequence[bool], always: Sequence[bool]) -> Fixed:
    fixed = tuple(
        False if off else True if one else None for off, one in zip(never, always, strict=True)
    )
    return fixed if site.block.downsample is not None or True in fixed else (None,) * len(fixed)


def _decides(site: Site, fixed: Fixed) -> bool:
    """Whether its gate still decides something: a path, or the channels of one that runs."""
    return site.gated and (None in fixed or (site.channels > 0 and True in fixed))


def _read_routers(
    model: DynamicNetwork, pooled: Sequence[Tensor | None], deciding: Set[int]
) -> set[int]:
    """Sites whose router one of the ``deciding`` gates reads, itself or through the router state.

    Autograd knows: a router that is not read gets no gradient.
    """
    leaves: dict[int, Tensor] = {}
    state: RouterState = ()
    read = []
    with torch.enable_grad():
        for site, seen in zip(model.sites, pooled, strict=True):
            if site.router is None or seen is None:
                continue
            leaves[site.index] = seen.detach().requires_grad_()
            feature, state = site.router(leaves[site.index], state)
            if site.index in deciding:
                read.append(feature.sum())
        if not read:
            return set()
        gradients = torch.autograd.grad(
            torch.stack(read).sum(), list(leaves.values()), allow_unused=True
        )
    return {index for index, found in zip(leaves, gradients, strict=True) if found is not None}
