"""A static network's weights, divided among the paths of a network that splits its blocks."""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from dyncore.backbones import Backbone
from dyncore.blocks import GatedBlock, Path

_OF_NORMS = ("weight", "bias", "running_mean", "running_var")


def divide(tensors: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Weights for ``backbone`` from those of its static form; others come back as they are.

    The channels between a block's convolutions are dealt out in turn, those with the largest scale
    first, so that paths are alike; a depthwise convolution keeps its inputs' channels. The sum of
    all paths is then the static block in evaluation, but for channels that are left over, and for
    what a bottleneck's 3×3 convolution carries from one path's channels to another's: there it sees
    1/N of its inputs, and its norm's statistics are divided by N. In training, where norms see
    their own path alone, it is so as far as paths are uncorrelated: the last norm's variance and
    scale are divided by N and by √N. (Ours; no paper says how a split network starts from a static
    one.)

    Raises ValueError for blocks whose tensors are not among those given.
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
                part = _part(own, path, n, count)
                found |= {f"{prefix}branches.{n}.{name}": part[name] for name in part}
    return found


def _split_blocks(backbone: Backbone) -> Iterator[tuple[str, GatedBlock]]:
    """(prefix of its tensors, block) of every block with several paths."""
    name_of = {id(module): name for name, module in backbone.named_modules()}
    for block in backbone.blocks:
        if len(block.paths) > 1:
            yield f"{name_of[id(block)]}.", block


class _Channels(NamedTuple):
    """Which of a whole layer's output channels a path has."""

    numbers: Tensor
    own: int
    """So many of them are its own; the others, in paths of more than their share, are copies."""

    @classmethod
    def dealt(cls, scale: Tensor, width: int, n: int, count: int) -> "_Channels":
        """``width`` channels for the ``n``-th of ``count`` paths, of the largest scale first."""
        ordered = scale.abs().argsort(descending=True)
        mine = ordered[n::count][:width]
        others = torch.cat([ordered[m::count] for m in range(count) if m != n])
        return cls(torch.cat([mine, others[: width - len(mine)]]), len(mine))


def _part(own: Mapping[str, Tensor], path: Path, n: int, count: int) -> dict[str, Tensor]:
    """Tensors of the ``n``-th of ``count`` paths, from those of the whole block."""
    part: dict[str, Tensor] = {}
    given: _Channels | None = None  # None: all
    *inner, _ = path.layers
    for (conv, norm, _), layer in zip(path.names, [*inner, None], strict=True):
        if f"{conv}.weight" not in own or f"{norm}.weight" not in own:
            raise ValueError(
                f"the block has no {conv} and {norm} to deal out among its paths: give the weights "
                "of its static network, or of a model that is split in the same way"
            )
        weight, seen = own[f"{conv}.weight"], 1.0
        if layer is None:
            channels = _Channels(torch.arange(len(weight), device=weight.device), len(weight))
        elif layer.conv.groups > 1 and given is not None:
            channels = given
        else:
            channels = _Channels.dealt(own[f"{norm}.weight"], layer.conv.out_channels, n, count)
        weight = weight[channels.numbers]
        if given is not None and weight.shape[1] > 1:
            seen = len(given.numbers) / weight.shape[1]
            weight = weight[:, given.numbers]
            if layer is None:
                weight[:, given.own :] = 0  # copies would count twice
        part[f"{conv}.weight"] = weight
        part |= {f"{norm}.{name}": own[f"{norm}.{name}"][channels.numbers] for name in _OF_NORMS}
        if layer is not None:
            part |= _scaled(part, norm, seen)
        part[f"{norm}.num_batches_tracked"] = own[f"{norm}.num_batches_tracked"]
        given = channels
    last = path.names[-1][1]
    part |= _scaled(part, last, 1 / count)
    part[f"{last}.weight"] = own[f"{last}.weight"] / sqrt(count)
    part[f"{last}.bias"] = own[f"{last}.bias"] / count
    return {name: tensor.clone() for name, tensor in part.items()}


def _scaled(part: Mapping[str, Tensor], norm: str, share: float) -> dict[str, Tensor]:
    """Statistics of a norm whose convolution sees a ``share`` of its inputs."""
    if share == 1:
        return {}
    mean, variance = part[f"{norm}.running_mean"], part[f"{norm}.running_var"]
    return {
        f"{norm}.running_mean": mean * share,
        f"{norm}.running_var": _share(variance, 1 / share),
    }


def _share(variance: Tensor, count: float, eps: float = 1e-5) -> Tensor:
    """The variance v' with ``v' + eps = (v + eps) / count``: the norm adds its eps again."""
    return torch.clamp((variance + eps) / count - eps, min=0)
