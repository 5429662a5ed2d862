"""Models by name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from dyncore.backbones import BackboneConfig, backbone_config
from dyncore.gating import PartConfig, config_to_dict
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo, from_pretrained
from dyncore.parts import look_up, part_config, registered
from dyncore.registry._method import Method
from dyncore.registry._pretrained import find_pretrained
from dyncore.weights import Weights, load_static


def list_methods() -> list[str]:
    """Names of the installed methods."""
    return list(registered("methods"))


def list_models(filter: str | Sequence[str] = "*") -> list[str]:
    """Names that :func:`create_model` takes: ``<method>-<backbone>[-nN]``.

    ``filter`` is a pattern of the whole name, as timm has them, or several of which one must match;
    ``*`` stands for any characters. ``list_models("*resnet50*")`` finds every model of a ResNet-50,
    ``list_models("vanilla-resnet50")`` just that one.
    """
    patterns = [filter] if isinstance(filter, str) else filter
    return [name for name in _names() if any(fnmatchcase(name, p) for p in patterns)]


def _names() -> Iterator[str]:
    for method in registered("methods").values():
        for backbone in method.backbones:
            for paths in method.paths:
                yield f"{method.name}-{backbone}" + (f"-n{paths}" if paths > 1 else "")


def model_config(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    router: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
) -> DynamicConfig:
    """The configuration behind a model's name. Arguments and errors as :func:`create_model`."""
    method, backbone, paths = _parse(name)
    given: object = num_classes
    if given is not None and type(given) is not int:
        raise TypeError(f"num_classes must be a whole number such as 10, not {given!r}")
    if num_classes is None:
        num_classes = 10 if "-cifar" in backbone else 1000
    images = replace(backbone_config(backbone), in_channels=in_chans)
    config = method.configure(images, paths, num_classes)
    return _changed(config, name, router, gate)


def method_config(
    method: str,
    backbone: BackboneConfig,
    num_classes: int,
    *,
    router: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
) -> DynamicConfig:
    """A backbone of any kind with one path per block and a method's parts, by the method's name.

    ``router``, ``gate`` and errors as of :func:`create_model`.
    """
    found: Method = look_up("methods", method)
    return _changed(found.configure(backbone, 1, num_classes), method, router, gate)


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    router: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
    weights: Weights | None = None,
    pretrained: bool = False,
) -> DynamicNetwork:
    """A freshly initialised model, e.g. ``create_model("dmnn-resnet50-n2", num_classes=1000)``.

    ``num_classes`` defaults to 1000, for CIFAR forms to 10. ``in_chans`` are the channels of its
    images. ``router`` and ``gate`` change single
    fields of the method's parts: ``router={"decay": 0.25}``; with a ``"name"`` they choose another
    part. ``weights`` of a static network start the backbone: ``"timm:resnet18"``,
    ``"torchvision:resnet50"``, a ``.pth`` or ``.safetensors`` file, a model folder, or anything
    that :func:`dyncore.load_static` takes. ``pretrained`` finds a trained model of this name, in
    the box or on the Hub, in evaluation mode.

    Raises ValueError, listing what is known, for an unknown name or field, for ``pretrained`` where
    there is no such model, and where both ways to start are given; TypeError for classes that are
    not counted by a whole number; and what :func:`dyncore.load_static` raises.

    >>> import dyncore
    >>> model = dyncore.create_model("vanilla-resnet20-cifar")
    >>> model.paths_per_block
    (1, 1, 1, 1, 1, 1, 1, 1, 1)
    >>> model.config.num_classes
    10
    """
    config = model_config(
        name, num_classes=num_classes, in_chans=in_chans, router=router, gate=gate
    )
    if pretrained:
        if weights is not None or router or gate:
            raise ValueError(
                "pretrained models are as they were trained: leave weights, router and gate out"
            )
        channels = None if in_chans == 3 else in_chans
        return from_pretrained(find_pretrained(name), num_classes=num_classes, in_chans=channels)
    model = DynamicNetwork(config, ModelInfo(method=name.partition("-")[0], model=name))
    return model if weights is None else load_static(model, weights)


def _changed(
    config: DynamicConfig,
    name: str,
    router: Mapping[str, Any] | None,
    gate: Mapping[str, Any] | None,
) -> DynamicConfig:
    return replace(
        config,
        router=_override("routers", config.router, router, name),
        gate=_override("gates", config.gate, gate, name),
    )


def _parse(name: str) -> tuple[Method, str, int]:
    method, _, rest = name.partition("-")
    if method not in registered("methods") and (near := _near(name)):
        raise ValueError(f"unknown model {name[:100]!r}: did you mean {', '.join(near)}?")
    found: Method = look_up("methods", method)
    match = re.fullmatch(r"(.+?)(?:-n([1-9]\d*))?", rest)
    if match is None:
        raise ValueError(
            f"model name {name!r} has no backbone; the form is <method>-<backbone>[-nN], "
            f"e.g. {list_models()[0]}"
        )
    return found, match[1], int(match[2] or 1)


def _near(name: str) -> list[str]:
    """Models of this backbone, whose method was left out, or the one whose method was mistyped."""
    method, _, rest = name.partition("-")
    methods = get_close_matches(method, registered("methods"), n=3, cutoff=0.7)
    wanted = {f"{near}-{rest}" for near in methods}
    return [known for known in _names() if known.partition("-")[2] == name or known in wanted]


def _override(
    group: str, part: PartConfig | None, changes: Mapping[str, Any] | None, model: str
) -> Any:
    if not changes:
        return part
    if part is None:
        raise ValueError(f"{model} is static: it has no {group[:-1]} to change")
    if changes.get("name", part.name) != part.name:
        return part_config(group, changes)
    return part_config(group, {**config_to_dict(part), **changes})
