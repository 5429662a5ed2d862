"""Saved models: what fits a configuration, when it is loaded and before it is saved."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from dyncore.files import printable
from dyncore.hub import ModelFileError
from dyncore.network._channels import converted_preprocessing, converted_weight
from dyncore.network._config import DynamicConfig
from dyncore.network._folder import read_config, read_layout, read_tensors
from dyncore.network._info import FORMAT, ModelInfo, describe
from dyncore.network._layout import check_layout, check_sizes, differences, layout_of, require
from dyncore.network._replaced import replaced, unsavable
from dyncore.parts import as_saved, decode, look_up

logger = logging.getLogger("dyncore")

Network = TypeVar("Network", bound=nn.Module)
Build = Callable[[DynamicConfig, ModelInfo], Network]
"""The class of a network, which knows how it is built."""

_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,80}[A-Za-z0-9])?")
"""A name that pip takes, and no more of its command line."""


def load_pretrained(
    build: Build[Network],
    folder: Path,
    *,
    num_classes: int | None,
    in_chans: int | None,
) -> Network:
    """The model of a folder; the arguments and errors of ``from_pretrained``."""
    config, info = _read(read_config(folder), str(folder))
    dtype = check_layout(lambda: build(config, info), read_layout(folder), str(folder))
    model = build(config, info).to(dtype)
    load_weights(model, read_tensors(folder), str(folder))
    classes = config.num_classes if num_classes is None else num_classes
    channels = config.backbone.in_channels
    if (changed := classes != config.num_classes) or in_chans not in (None, channels):
        wanted = channels if in_chans is None else in_chans
        other = replace(
            config, num_classes=classes, backbone=replace(config.backbone, in_channels=wanted)
        )
        told = replace(
            info,
            classes=None if changed else info.classes,
            preprocessing=converted_preprocessing(info.preprocessing, wanted),
            dataset=None,
            training_images=None,
            metrics={},
            recipe=None,
            dial=None,
        )
        model = _with_weights(build(other, told).to(dtype), model.state_dict())
        _say(folder, config, other)
    return model.eval()


def _say(folder: Path, before: DynamicConfig, after: DynamicConfig) -> None:
    """What was replaced."""
    if after.num_classes != before.num_classes:
        logger.warning(
            "%s: replaced the head for %d classes by a fresh one for %d; train it before use",
            folder,
            before.num_classes,
            after.num_classes,
        )
    channels = before.backbone.in_channels, after.backbone.in_channels
    if channels[0] != channels[1]:
        logger.warning(
            "%s: made the first convolution for %d channels into one for %d; train it before use",
            folder,
            *channels,
        )


def load_weights(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Load strictly: names, shapes, types, and nothing that is not finite.

    Raises :class:`dyncore.ModelFileError` that names each tensor at fault.
    """
    require(differences(layout_of(tensors), layout_of(model.state_dict())), source)
    require(
        [
            f"{printable(name)} holds NaN or infinite values: the training that made it diverged"
            for name, tensor in tensors.items()
            if tensor.is_floating_point() and not tensor.isfinite().all()
        ],
        source,
    )
    model.load_state_dict(tensors)


def check_loadable(
    network: nn.Module,
    build: Build[Network],
    config: DynamicConfig,
    info: ModelInfo,
    tensors: Mapping[str, Tensor],
) -> None:
    """Raise ValueError for a network that is not what the configuration describes.

    So it is when a layer was replaced: saved, it could not be loaded, or would answer otherwise.
    """
    built: list[Network] = []

    def build_once() -> Network:
        built.append(build(config, info))
        return built[0]

    try:
        _check_read(config, info)
        require(unsavable(tensors), "this network")
        check_layout(build_once, layout_of(tensors), "this network")
        require(replaced(network, built[0]), "this network", "modules")
    except ValueError as error:
        raise ValueError(
            f"nothing is saved, since from_pretrained could not load it: {error}. model.config and "
            "model.info must describe the network as it is: for a head of N classes use "
            "create_model(..., num_classes=N) or from_pretrained(..., num_classes=N); what "
            "else is changed put back, build by a part of your own, or keep by torch.save"
        ) from error


def _check_read(config: DynamicConfig, info: ModelInfo) -> None:
    """Raise ValueError if a configuration does not come back from its file as what it is."""
    written = json.loads(json.dumps(describe(config, info)))
    if _read(written, "this network")[0] != config:
        raise ValueError(
            "config.json would describe another network: one of its parts has the name of "
            "another installed part, or fields that are no plain values"
        )


def _read(saved: dict[str, Any], source: str) -> tuple[DynamicConfig, ModelInfo]:
    version = saved.get("format")
    if type(version) is not int or version != FORMAT:
        raise ModelFileError(
            f"config.json of {source} has format {str(version)[:80]}, this dyncore reads "
            f"{FORMAT}: update dyncore, or save the model again"
        )
    _check_installed(saved, source)
    try:
        check_sizes(saved.get("network"))
        config = decode(DynamicConfig, as_saved(saved.get("network")), "network")
        info = decode(ModelInfo, saved.get("info"), "info")
        _check_classes(config, info)
    except ValueError as error:
        raise ModelFileError(f"config.json of {source}: {str(error)[:1000]}") from error
    return config, info


def _check_classes(config: DynamicConfig, info: ModelInfo) -> None:
    if info.classes is not None and len(info.classes) != config.num_classes:
        raise ValueError(
            f"info.classes has {len(info.classes)} names, network.num_classes is "
            f"{config.num_classes}"
        )


def _check_installed(saved: dict[str, Any], source: str) -> None:
    """Say which package to install before anything else can fail for want of it."""
    network, info = saved.get("network"), saved.get("info")
    requires = saved.get("requires")
    wanted = [("methods", info.get("method") if isinstance(info, dict) else None)]
    for group, key in (("routers", "router"), ("gates", "gate"), ("backbones", "backbone")):
        part = network.get(key) if isinstance(network, dict) else None
        wanted.append((group, part.get("name") if isinstance(part, dict) else None))
    named = requires if isinstance(requires, dict) else {}
    packages = [name for name in named if name != "dyncore" and _PACKAGE.fullmatch(name)]
    for group, name in wanted:
        if isinstance(name, str):
            try:
                look_up(group, name, saved_with=" ".join(packages))
            except ValueError as error:
                raise ModelFileError(f"config.json of {source}: {error}") from error


def _with_weights(fresh: Network, weights: Mapping[str, Tensor]) -> Network:
    """``fresh`` with these weights; the head, of another shape, stays fresh.

    A first convolution of other images' channels has weights made of these.
    """
    new = {}
    for name, tensor in fresh.state_dict().items():
        old = weights[name]
        if tensor.shape != old.shape:
            same_but_channels = tensor.ndim == 4 and len(tensor) == len(old)
            new[name] = converted_weight(old, tensor.shape[1]) if same_but_channels else tensor
    fresh.load_state_dict({**weights, **new})
    return fresh
