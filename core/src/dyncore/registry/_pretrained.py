"""Saved models."""

import logging
import os
import re
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from dyncore.hub import (
    ModelFileError,
    find_folder,
    printable,
    read_config,
    read_layout,
    read_tensors,
)
from dyncore.network import FORMAT, DynamicConfig, DynamicNetwork, ModelInfo
from dyncore.registry._decode import decode
from dyncore.registry._entry_points import registered, unknown
from dyncore.registry._layout import check_layout, check_sizes, differences, layout_of, require

logger = logging.getLogger("dyncore")

_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,80}[A-Za-z0-9])?")
"""A name that pip takes, and no more of its command line."""


def from_pretrained(
    source: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    revision: str | None = None,
) -> DynamicNetwork:
    """A saved model, in evaluation mode, from a folder or from the Hub (``org/name``).

    It has the floating-point type that it was saved with. ``revision`` is a branch, tag or commit
    of the Hub; a commit pins the content. ``num_classes`` other than the saved one replaces the
    last linear layer by a fresh one and logs that it did. Nothing is allocated before the names,
    shapes and types in the weights' header are those of the network that config.json describes.

    Raises FileNotFoundError when there is no such folder or model, :class:`dyncore.HubError` when
    the Hub refuses or fails, and :class:`dyncore.ModelFileError` for files that do not make a
    model: which file, which tensor, or which package to install.
    """
    folder = find_folder(source, revision)
    config, info = _read(read_config(folder), str(folder))
    dtype = check_layout(config, read_layout(folder), str(folder))
    model = DynamicNetwork(config, info).to(dtype)
    load_weights(model, read_tensors(folder), str(folder))
    if num_classes is not None and num_classes != config.num_classes:
        model = _with_classes(model, num_classes)
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
    found, wanted = layout_of(tensors), layout_of(model.state_dict())
    require(differences(found, wanted), source)
    require(
        [
            f"{printable(name)} holds NaN or infinite values: the training that made it diverged"
            for name, tensor in tensors.items()
            if tensor.is_floating_point() and not tensor.isfinite().all()
        ],
        source,
    )
    model.load_state_dict(tensors)


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
        if info.classes is not None and len(info.classes) != config.num_classes:
            raise ValueError(
                f"info.classes has {len(info.classes)} names, network.num_classes is "
                f"{config.num_classes}"
            )
    except ValueError as error:
        raise ModelFileError(f"config.json of {source}: {str(error)[:1000]}") from error
    return config, info


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
        if isinstance(name, str) and name not in registered(group):
            problem = unknown(group, name[:100], saved_with=" ".join(packages))
            raise ModelFileError(f"config.json of {source}: {problem}")


def _with_classes(model: DynamicNetwork, num_classes: int) -> DynamicNetwork:
    info = replace(model.info, classes=None, dataset=None, metrics={}, recipe=None)
    changed = DynamicNetwork(replace(model.config, num_classes=num_classes), info)
    changed.to(next(model.parameters()).dtype)
    weights = model.state_dict()
    head = f"backbone.{model.backbone.output_layer}"
    fresh = changed.state_dict()
    weights |= {f"{head}.{part}": fresh[f"{head}.{part}"] for part in ("weight", "bias")}
    changed.load_state_dict(weights)
    return changed
