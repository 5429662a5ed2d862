"""What modules of the libraries are made of, where calling them is calling their parts in turn."""

from collections.abc import Mapping
from typing import TypeAlias

from torch import nn

from dyncore.gating import does_more

Kinds: TypeAlias = Mapping[str, tuple[str, ...]]
"""Names of classes by their module: the library need not be there."""

_SEQUENCES: Kinds = {
    "timm.layers.conv_bn_act": ("ConvNormAct",),
    "timm.layers.classifier": ("ClassifierHead",),
}
_WITHOUT_SHORTCUT: Kinds = {
    "torchvision.models.mobilenetv2": ("InvertedResidual",),
    "torchvision.models.mobilenetv3": ("InvertedResidual",),
    "timm.models._efficientnet_blocks": ("InvertedResidual", "DepthwiseSeparableConv"),
}
"""Residual blocks, some of which have no shortcut."""
_POOLS: Kinds = {"timm.layers.adaptive_avgmax_pool": ("SelectAdaptivePool2d",)}
_NORMS: Kinds = {"timm.layers.norm_act": ("BatchNormAct2d",)}


def links(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The module, or the modules that it is a sequence of, each with its name; identities left out.

    timm's norms with an activation stand before that activation, as if they had none: a ReLU of a
    ReLU is that ReLU.
    """
    if type(module) is nn.Identity:
        return []
    if is_sequence(module):
        inner = module.named_children()
        return [link for child, each in inner for link in links(f"{name}.{child}", each)]
    if _is(module, _NORMS) and type(module.drop) is nn.Identity:
        return [(name, module), *links(f"{name}.act", module.act)]  # type: ignore[arg-type]
    return [(name, module)]


def is_sequence(module: nn.Module) -> bool:
    """Whether it calls its children one after the other, and does nothing else."""
    if isinstance(module, nn.Sequential):
        return type(module).forward is nn.Sequential.forward
    if _is(module, _POOLS):
        return getattr(module, "pool_type", "") == "avg"
    if _is(module, _WITHOUT_SHORTCUT):
        return not any(getattr(module, name, False) for name in ("use_res_connect", "has_skip"))
    return _is(module, _SEQUENCES)


def is_batch_norm(module: nn.Module) -> bool:
    """Whether its weights are those of a batch norm: torch's, or timm's, which may rectify."""
    return type(module) is nn.BatchNorm2d or _is(module, _NORMS)


def is_only(module: nn.Module) -> bool:
    """Whether nothing listens at it or at anything in it that has parts."""
    inside = [each for each in module.modules() if each is module or any(each.children())]
    return not any(does_more(each) for each in inside if type(each) is not nn.Conv2d)


def _is(module: nn.Module, known: Kinds) -> bool:
    kind = type(module)
    return kind.__name__ in known.get(kind.__module__, ())
