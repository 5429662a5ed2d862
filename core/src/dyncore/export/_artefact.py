"""What an exported file computes, and what it says about itself."""

import json
from importlib.metadata import version
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.export._subnet import Subnet, whole
from dyncore.network import DynamicNetwork


@final
class Artefact(nn.Module):
    """Normalised images → what a caller needs, by name.

    ``logits`` (B, K); ``on`` (B, paths) bool, every path of every block in order; with gated
    channels ``channel_on`` (B, channels) bool, off where their path is off; ``macs`` (B,) int64,
    what an image's own decisions cost, in MACs, however much of it the file skips.
    """

    def __init__(
        self,
        network: DynamicNetwork | Subnet,
        images: Float[Tensor, "batch 3 height width"],
        *,
        skip: bool = False,
    ) -> None:
        """``images`` are examples. Raises ValueError for images that the network does not take."""
        super().__init__()
        self.skip = skip
        _check(images, network)
        size = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        self.network = network if isinstance(network, Subnet) else whole(network, size)
        if self.network.table.input_size != size:
            raise ValueError(
                f"images are {size}, but the subnet was calibrated on "
                f"{self.network.table.input_size}"
            )
        self.eval()
        with torch.no_grad():  # the table keeps its costs as a tensor from its first use on
            self.network.table.macs(self.network(images).path)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> dict[str, Tensor]:
        """See the class."""
        output = self.network(images, skip=self.skip)
        path = output.path
        named = {"logits": output.logits, "on": path.on}
        channels = [d.channel_on & d.on if d.channel_on is not None else None for d in path]
        if gated := [columns for columns in channels if columns is not None]:
            named["channel_on"] = torch.cat(gated, dim=1)
        named["macs"] = self.network.table.macs(path)
        return named


def _check(images: Tensor, network: DynamicNetwork | Subnet) -> None:
    if network.training:
        raise ValueError("an export needs a model in evaluation: call model.eval() first")
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(
            "images must be a batch of normalised examples, (batch, 3, height, width), not "
            f"{tuple(images.shape)}"
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


def metadata(network: DynamicNetwork | Subnet, input_size: tuple[int, int, int]) -> dict[str, str]:
    """What a file says about itself; every value is JSON.

    ``input_size`` (channel, height, width); ``classes`` in the order of the logits and
    ``preprocessing`` (mean, std, size, resize), null where the model has none;
    ``paths_per_block``; ``model``, its name; ``dyncore``, the version that wrote it.
    """
    info = network.info
    values = {
        "input_size": input_size,
        "classes": info.classes,
        "preprocessing": None if info.preprocessing is None else info.preprocessing.to_dict(),
        "paths_per_block": network.paths_per_block,
        "model": info.model,
        "dyncore": version("dyncore"),
    }
    return {name: json.dumps(value) for name, value in values.items()}
