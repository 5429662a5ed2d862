"""A dynamic network that begins as a static one that somebody has."""

import logging
import os
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from dyncore.network import DynamicNetwork, divide, load_weights, start_subnets
from dyncore.weights._as_ours import as_ours
from dyncore.weights._library import build_library, named_library
from dyncore.weights._names import Fitted, best_prefix, fitted
from dyncore.weights._source import read_source, tensors_in

logger = logging.getLogger("dyncore")

Weights: TypeAlias = str | os.PathLike[str] | nn.Module | Mapping[str, Tensor]


def load_static(model: DynamicNetwork, weights: Weights) -> DynamicNetwork:
    """Let the backbone of ``model`` begin with a static network's weights; returns the model.

    ``weights`` are ``timm:NAME`` or ``torchvision:NAME``, with the library's pretrained weights; a
    file, ``.safetensors`` or of ``torch.save``, whose names may have any prefix and lie beside
    other things; a model folder or ``org/name`` on the Hub; a module or its state dict. Blocks that
    are split get their share of the static block's channels. A last layer for other classes stays
    fresh and a first convolution for other images is converted, both of which are logged. Routers
    and gates stay as they are.

    Raises FileNotFoundError where there are none, :class:`dyncore.ModelFileError` for weights of
    another network, with the tensors at fault, and ValueError for a name that no library knows.
    """
    source, backbone = _named(weights), model.backbone
    there, static = backbone.state_dict(), _static_names(model)
    if isinstance(weights, str) and (library := named_library(weights)) is not None:
        network = build_library(library, pretrained=True).network.eval()
        found = as_ours(network, model.config.backbone, source)
    elif isinstance(weights, str | os.PathLike):
        found = read_source(weights)
    else:
        found = tensors_in(weights, source)
    is_split = best_prefix(found, there)[1] > best_prefix(found, static)[1]  # as the model is
    fit = fitted(found, there if is_split else static, model.config.backbone.in_channels, source)
    tensors = fit.tensors if is_split else divide(fit.tensors, backbone)
    tensors |= {name: there[name] for name in fit.fresh}
    load_weights(backbone, {name: tensors[name].to(there[name].dtype) for name in there}, source)
    start_subnets(model)
    _say(source, fit)
    return model


def _named(weights: Weights) -> str:
    if isinstance(weights, str | os.PathLike):
        return os.fspath(weights)
    return type(weights).__name__ if isinstance(weights, nn.Module) else "the state dict"


def _static_names(model: DynamicNetwork) -> dict[str, Tensor]:
    """Tensors without memory of the backbone in one piece, as anybody else would build it."""
    with torch.device("meta"):
        return model.config.backbone.build(model.config.num_classes).state_dict()


def _say(source: str, fit: Fitted) -> None:
    if fit.fresh:
        logger.warning(
            "%s has no last layer for these classes: %s are fresh; train them before use",
            source,
            " and ".join(fit.fresh),
        )
    if fit.converted:
        logger.warning("%s was made for other images: its first convolution is converted", source)
