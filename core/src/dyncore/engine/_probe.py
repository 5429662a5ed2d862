"""What a module computes, seen from a run of it."""

from typing import TypeVar

import torch
from torch import Tensor, nn

_Layer = TypeVar("_Layer", bound=nn.Module)


def only_layer(module: nn.Module, kind: type[_Layer], x: Tensor) -> _Layer | None:
    """The one layer of ``kind`` that a run on ``x`` uses, once."""
    used: list[_Layer] = []
    layers = [part for part in module.modules() if isinstance(part, kind)]
    hooks = [layer.register_forward_hook(lambda layer, *_: used.append(layer)) for layer in layers]
    module(x)
    for hook in hooks:
        hook.remove()
    return used[0] if len(used) == 1 else None


def reaching(layer: nn.Module, module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What ``layer`` is given in a run of ``module`` on ``x``, and what comes out of the run."""
    given: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    result = module(x)
    hook.remove()
    return given[0], result


def waves(*shape: int, dtype: torch.dtype) -> Tensor:
    """Numbers of both signs, no two neighbours alike, to try a module with."""
    count = torch.Size(shape).numel()
    return torch.linspace(-2, 2, count, dtype=dtype).sin().view(shape)


def far(x: Tensor, layer: nn.Module) -> Tensor:
    """``x`` and ``-x``, times what takes ``layer``'s results far beyond a ReLU6's limit."""
    reached = (layer(x) - layer(-x)).abs().max() / 2
    return torch.cat([x, -x]) * (24 / reached.clamp_min(1e-6))


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two results differ by no more than rounding, at their largest values' scale."""
    largest = float(a.abs().max()) if a.numel() else 0.0
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-4 * largest + 1e-6)
