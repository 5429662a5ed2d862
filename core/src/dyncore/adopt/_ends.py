"""What stems and heads of libraries are made of, where that is what most are made of."""

import torch
from torch import nn

from dyncore.adopt._opened import is_batch_norm, is_only, links
from dyncore.adopt._path import calls_in_turn
from dyncore.adopt._segment import Segment, Value
from dyncore.backbones import HeadLayers, StemLayers
from dyncore.blocks import Layer, identity


def stem_layers(stem: Segment) -> StemLayers | None:
    """Convolution, norm, activation and perhaps a maximum; None: it is something else."""
    modules = [module for _, module in calls_in_turn(stem)]
    if len(modules) < 2 or not all(map(is_only, _called(stem))):
        return None
    conv, norm, *rest = modules
    if type(conv) is not nn.Conv2d or not is_batch_norm(norm):
        return None
    activation = rest.pop(0) if rest and type(rest[0]) in (nn.ReLU, nn.ReLU6) else identity
    pool = rest.pop(0) if rest and type(rest[0]) is nn.MaxPool2d else None
    return None if rest else StemLayers(Layer(conv, norm, activation), pool)  # type: ignore[arg-type]


def head_layers(head: Segment) -> HeadLayers | None:
    """A mean over pixels and a linear layer; what does nothing in evaluation may stand between."""
    modules: list[nn.Module] = []
    for number, step in enumerate(head.steps):
        if step.args[:1] != (Value(number),):
            return None
        if step.kind == "call_module" and len(step.args) == 1 and not step.kwargs:
            found = links(step.target, head.original.get_submodule(step.target))
            modules += [module for _, module in found]
        elif step.target not in (torch.flatten, "flatten"):
            return None
    kept = [each for each in modules if type(each) not in (nn.Flatten, nn.Dropout)]
    kinds = [type(each) for each in kept]
    if kinds != [nn.AdaptiveAvgPool2d, nn.Linear] or not all(map(is_only, _called(head))):
        return None
    return HeadLayers(None, *kept)


def _called(segment: Segment) -> list[nn.Module]:
    return [segment.original.get_submodule(name) for name in segment.modules_called]
