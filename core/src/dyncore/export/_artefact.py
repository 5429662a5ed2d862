"""What an exported file computes, and what it says about itself."""

import copy
import json
from importlib.metadata import version
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.cost import cost_table
from dyncore.export._conditional import run_conditionally
from dyncore.gating import config_to_dict
from dyncore.network import DynamicNetwork, Output


@final
class Artefact(nn.Module):
    """Normalised images → what a caller needs, by name.

    ``logits`` (B, K); ``on`` (B, paths) bool, every path of every block in order; with gated
    channels ``channel_on`` (B, channels) bool, off where their path is off; ``macs`` (B,) int64,
    what an image's own decisions cost, in MACs, however much of it the file skips.
    """

    def __init__(
        self,
        network: DynamicNetwork,
        images: Float[Tensor, "batch channel height width"],
        *,
        skip: bool = False,
    ) -> None:
        """``images`` are examples. Raises ValueError for images that the network does not take."""
        super().__init__()
        self.skip = skip
        _check(images, network)
        size = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.table = cost_table(network, size)
        with torch.no_grad():  # the table keeps its costs as a tensor from its first use on
            self.table.macs(self._run(images).path)
        self.eval()

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> dict[str, Tensor]:
        """See the class."""
        output = self._run(images)
        path = output.path
        named = {"logits": output.logits, "on": path.on}
        if gated := [d.channels.on & d.on for d in path if d.channels is not None]:
            named["channel_on"] = torch.cat(gated, dim=1)
        named["macs"] = self.table.macs(path)
        return named

    def _run(self, images: Tensor) -> Output:
        if self.skip:
            return self.network.walk(images, run_conditionally)
        return self.network(images)


def _check(images: Tensor, network: DynamicNetwork) -> None:
    if network.training:
        raise ValueError("an export needs a model in evaluation: call model.eval() first")
    channels = network.config.backbone.in_channels
    if images.ndim != 4 or images.shape[1] != channels or not len(images):
        raise ValueError(
            f"images must be a batch of normalised examples, (batch, {channels}, height, width), "
            f"not {tuple(images.shape)}"
        )
    like = next(network.parameters())
    if images.dtype != like.dtype or images.device != like.device:
        raise ValueError(
            f"images are {images.dtype} on {images.device}, but the model's weights are "
            f"{like.dtype} on {like.device}"
        )
    preprocessing = network.info.preprocessing
    if preprocessing is not None and images.shape[2:] != (preprocessing.size,) * 2:
        raise ValueError(
            f"images are {images.shape[2]} x {images.shape[3]}, but the model's preprocessing "
            f"gives {preprocessing.size} x {preprocessing.size}"
        )


def metadata(network: DynamicNetwork, input_size: tuple[int, int, int]) -> dict[str, str]:
    """What a file says about itself; every value is JSON.

    ``input_size`` (channel, height, width); ``classes`` in the order of the logits and
    ``preprocessing`` (mean, std, size, resize), null where the model has none;
    ``paths_per_block``; ``model``, its name; ``dyncore``, the version that wrote it.
    """
    info = network.info
    values = {
        "input_size": input_size,
        "classes": info.classes,
        "preprocessing": config_to_dict(info.preprocessing),
        "paths_per_block": network.paths_per_block,
        "model": info.model,
        "dyncore": version("dyncore"),
    }
    return {name: json.dumps(value) for name, value in values.items()}
