"""A static network's weights, divided among the paths of a network that splits its blocks."""

from collections.abc import Iterator, Mapping
from math import sqrt

import torch
from torch import Tensor

from dyncore.backbones import Backbone
from dyncore.blocks import GatedBlock


def divide(tensors: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Weights for ``backbone`` from those of its static form; others come back as they are.

    The channels between a block's two convolutions are dealt out in turn, those with the largest
    scale first, so that paths are alike. The sum of all paths is then the static block in
    evaluation, but for channels that are left over. In training, where norms see their own path
    alone, it is so as far as paths are uncorrelated: the last norm's variance and scale are divided
    by N and by √N. (Ours; no paper says how a split network starts from a static one.)

    Raises ValueError for blocks that are split and have more than two convolutions.
    """
    found = dict(tensors)
    if any(".branches." in name for name in tensors):
        return found
    for prefix, block in _split_blocks(backbone):
        own = {
            name.removeprefix(prefix): found.pop(name)
            for name in tensors
            if name.startswith((f"{prefix}conv", f"{prefix}bn"))
        }
        count = len(block.paths)
        for n, path in enumerate(block.paths):
            if path.names:
                names = [name for layer in path.names for name in layer[:2]]
                width = path.layers[0].conv.out_channels
                part = _part(own, names, n, count, width)
                found |= {f"{prefix}branches.{n}.{name}": part[name] for name in part}
    return found


def _split_blocks(backbone: Backbone) -> Iterator[tuple[str, GatedBlock]]:
    """(prefix of its tensors, block) of every block with several paths."""
    name_of = {id(module): name for name, module in backbone.named_modules()}
    for block in backbone.blocks:
        if len(block.paths) > 1:
            yield f"{name_of[id(block)]}.", block


def _part(
    own: Mapping[str, Tensor], names: list[str], n: int, count: int, width: int
) -> dict[str, Tensor]:
    """Tensors of the ``n``-th of ``count`` paths; ``names``: convolution, norm, convolution, …."""
    if len(names) != 4 or any(f"{name}.weight" not in own for name in names):
        raise ValueError(
            "only blocks of two convolutions can start from a static network's weights: train "
            "the split network from scratch, or give a model that is split in the same way"
        )
    first, norm, second, last = names
    mine = own[f"{norm}.weight"].abs().argsort(descending=True)[n::count][:width]
    part = {f"{first}.weight": own[f"{first}.weight"][mine]}
    for name in ("weight", "bias", "running_mean", "running_var"):
        part[f"{norm}.{name}"] = own[f"{norm}.{name}"][mine]
    part[f"{second}.weight"] = own[f"{second}.weight"][:, mine]
    part |= {
        f"{last}.weight": own[f"{last}.weight"] / sqrt(count),
        f"{last}.bias": own[f"{last}.bias"] / count,
        f"{last}.running_mean": own[f"{last}.running_mean"] / count,
        f"{last}.running_var": _share(own[f"{last}.running_var"], count),
    }
    for name in (norm, last):
        part[f"{name}.num_batches_tracked"] = own[f"{name}.num_batches_tracked"]
    return {name: tensor.clone() for name, tensor in part.items()}


def _share(variance: Tensor, count: int, eps: float = 1e-5) -> Tensor:
    """The variance v' with ``v' + eps = (v + eps) / count``: the norm adds its eps again."""
    return torch.clamp((variance + eps) / count - eps, min=0)
