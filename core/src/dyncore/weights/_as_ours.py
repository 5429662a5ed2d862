"""A library's network under our names, if it is one of our backbones."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from dyncore.backbones import Backbone, BackboneConfig
from dyncore.hub import ModelFileError
from dyncore.weights._library import IMAGENET
from dyncore.weights._names import ORIGINAL, best_prefix

SIDE = 64
"""Pixels of the image that both are asked about."""
TOLERANCE = 1e-3
"""Of the largest number of an answer."""


@torch.no_grad()
def as_ours(library: nn.Module, config: BackboneConfig, source: str) -> dict[str, Tensor]:
    """The library's tensors by the names that our backbone gives them.

    Where it has names of its own, both have their layers in the order in which they run. An adopted
    network has the library's names. Raises :class:`ModelFileError` for layers of other shapes, and
    where the two do not answer alike: they may differ in what has no weights.
    """
    theirs = dict(library.state_dict())
    ours = replace(config, in_channels=3).build(IMAGENET).eval()
    names = ours.state_dict()
    if all(name.startswith(ORIGINAL) for name in names):
        return theirs
    if best_prefix(theirs, names)[1] < len(theirs) / 2 and len(theirs) == len(names):
        theirs = dict(zip(names, theirs.values(), strict=True))
    shapes = [{name: t.shape for name, t in state.items()} for state in (theirs, names)]
    if shapes[0] == shapes[1] and not _answer_alike(library, ours, theirs):
        raise ModelFileError(
            f"{source} has layers like those of the model's backbone, but answers otherwise: it is "
            "another network"
        )
    return theirs


def _answer_alike(library: nn.Module, ours: Backbone, weights: dict[str, Tensor]) -> bool:
    ours.load_state_dict(weights)
    image = torch.linspace(-1e4, 1e4, 3 * SIDE * SIDE).sin().view(1, 3, SIDE, SIDE)
    expected = library(image)
    return float((ours(image) - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())
