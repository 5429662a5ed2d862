"""Saved models."""

import logging
import os
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from dyncore.hub import ModelFileError, find_folder, read_config, read_tensors
from dyncore.network import FORMAT, DynamicConfig, DynamicNetwork, ModelInfo
from dyncore.registry._decode import decode
from dyncore.registry._entry_points import registered, unknown

logger = logging.getLogger("dyncore")


def from_pretrained(
    source: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    revision: str | None = None,
) -> DynamicNetwork:
    """A saved model, in evaluation mode, from a folder or from the Hub (``org/name``).

    ``num_classes`` other than the saved one replaces the last linear layer by a fresh one and
    logs that it did. Raises FileNotFoundError when there is no such folder and
    :class:`dyncore.ModelFileError` for files that do not make a model: which file, which tensor,
    or which package to install.
    """
    folder = find_folder(source, revision)
    config, info = _read(read_config(folder), str(folder))
    model = DynamicNetwork(config, info)
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
    """Load strictly. Raises :class:`dyncore.ModelFileError` that names each tensor at fault."""
    expected = model.state_dict()
    problems = [f"{name} is missing" for name in expected.keys() - tensors.keys()]
    problems += [f"{name} is not in the model" for name in tensors.keys() - expected.keys()]
    for name in expected.keys() & tensors.keys():
        shape, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if shape != wanted:
            problems.append(f"{name} has shape {shape}, expected {wanted}")
    if problems:
        listed = "; ".join(sorted(problems)[:8])
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelFileError(f"the weights of {source} do not fit the model: {listed}{more}")
    model.load_state_dict(tensors)


def _read(saved: dict[str, Any], source: str) -> tuple[DynamicConfig, ModelInfo]:
    if saved.get("format") != FORMAT:
        raise ModelFileError(
            f"config.json of {source} has format {saved.get('format')!r}, this dyncore reads "
            f"{FORMAT}: update dyncore, or save the model again"
        )
    _check_installed(saved, source)
    try:
        config = decode(DynamicConfig, saved.get("network"), "network")
        info = decode(ModelInfo, saved.get("info"), "info")
    except ValueError as error:
        raise ModelFileError(f"config.json of {source}: {error}") from error
    return config, info


def _check_installed(saved: dict[str, Any], source: str) -> None:
    """Say which package to install before anything else can fail for want of it."""
    network, info = saved.get("network"), saved.get("info")
    requires = saved.get("requires")
    wanted = [("methods", info.get("method") if isinstance(info, dict) else None)]
    for group, key in (("routers", "router"), ("gates", "gate"), ("backbones", "backbone")):
        part = network.get(key) if isinstance(network, dict) else None
        wanted.append((group, part.get("name") if isinstance(part, dict) else None))
    packages = [p for p in requires if p != "dyncore"] if isinstance(requires, dict) else []
    for group, name in wanted:
        if isinstance(name, str) and name not in registered(group):
            problem = unknown(group, name, saved_with=" ".join(packages))
            raise ModelFileError(f"config.json of {source}: {problem}")


def _with_classes(model: DynamicNetwork, num_classes: int) -> DynamicNetwork:
    info = replace(model.info, classes=None, metrics={})
    changed = DynamicNetwork(replace(model.config, num_classes=num_classes), info)
    weights = model.state_dict()
    head = f"backbone.{model.backbone.output_layer}"
    fresh = changed.state_dict()
    weights |= {f"{head}.{part}": fresh[f"{head}.{part}"] for part in ("weight", "bias")}
    changed.load_state_dict(weights)
    return changed
