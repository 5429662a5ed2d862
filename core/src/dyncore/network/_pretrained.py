"""Saved models: what fits a configuration, when it is loaded and before it is saved."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from torch import Tensor, nn

from dyncore.files import printable
from dyncore.hub import ModelFileError, find_folder
from dyncore.network._config import DynamicConfig
from dyncore.network._folder import read_config, read_layout, read_tensors
from dyncore.network._info import FORMAT, ModelInfo
from dyncore.network._layout import check_layout, check_sizes, differences, layout_of, require
from dyncore.parts import decode, look_up

logger = logging.getLogger("dyncore")

Network = TypeVar("Network", bound=nn.Module)
Build = Callable[[DynamicConfig, ModelInfo], Network]
"""The class of a network, which knows how it is built."""

_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,80}[A-Za-z0-9])?")
"""A name that pip takes, and no more of its command line."""


def load_pretrained(
    build: Build[Network],
    source: str | os.PathLike[str],
    *,
    num_classes: int | None,
    revision: str | None,
) -> Network:
    """A saved model; the arguments and errors of ``from_pretrained``."""
    folder = find_folder(source, revision)
    config, info = _read(read_config(folder), str(folder))
    dtype = check_layout(lambda: build(config, info), read_layout(folder), str(folder))
    model = build(config, info).to(dtype)
    load_weights(model, read_tensors(folder), str(folder))
    if num_classes is not None and num_classes != config.num_classes:
        fresh = build(
            replace(config, num_classes=num_classes),
            replace(
                info, classes=None, dataset=None, training_images=None, metrics={}, recipe=None
            ),
        )
        model = _with_weights(fresh.to(dtype), model.state_dict())
        logger.warning(
            "%s: replaced the head for %d classes by a fresh one for %d; train it before use",
            source,
            config.num_classes,
            num_classes,
        )
    return model.eval()


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
    build: Build[Network], config: DynamicConfig, info: ModelInfo, tensors: Mapping[str, Tensor]
) -> None:
    """Raise ValueError for weights that are not those of the configuration.

    So it is when a layer was replaced: saved, they could not be loaded.
    """
    try:
        _check_classes(config, info)
        check_layout(lambda: build(config, info), layout_of(tensors), "this network")
    except ValueError as error:
        raise ValueError(
            f"nothing is saved, since from_pretrained could not load it: {error}. model.config and "
            "model.info must describe the network as it is: for a head of N classes use "
            "create_model(..., num_classes=N) or from_pretrained(..., num_classes=N)"
        ) from error


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
        config = decode(DynamicConfig, saved.get("network"), "network")
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
    """``fresh`` with these weights; what has another shape, the head, stays fresh."""
    head = {
        name: tensor
        for name, tensor in fresh.state_dict().items()
        if tensor.shape != weights[name].shape
    }
    fresh.load_state_dict({**weights, **head})
    return fresh
