"""A detector whose backbone runs only what each image chooses.

The stages of a dynamic network feed a pyramid (FPN), and that feeds torchvision's Faster R-CNN.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

import dyncore
from dyncore.gating import ExecutionPath


class PyramidBackbone(nn.Module):
    """Images → maps of one width by name, as torchvision's detectors want them."""

    path: ExecutionPath
    """The decisions about the images of the last call."""

    def __init__(self, network: dyncore.DynamicNetwork, out_channels: int = 256) -> None:
        super().__init__()
        self.network, self.out_channels = network, out_channels
        stages = network.backbone.stages
        ends = [bisect_right(stages, stage) - 1 for stage in range(stages[-1] + 1)]
        paths = [network.backbone.blocks[end].paths[0] for end in ends]
        widths = [path.layers[-1].conv.out_channels for path in paths]
        self.pyramid = FeaturePyramidNetwork(widths, out_channels, LastLevelMaxPool())
        network.backbone.get_submodule("fc").requires_grad_(False)  # no detector reads it

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps of the stages, ``0`` the finest, and a coarser one, ``pool``."""
        noise = self.network.draw_noise(len(images)) if self.training else None
        maps, self.path = self.network.feature_maps(images, noise=noise)
        found: dict[str, Tensor] = self.pyramid({str(n): x for n, x in enumerate(maps)})
        return found


def make_detector(network: dyncore.DynamicNetwork, classes: int, **options: object) -> FasterRCNN:
    """Faster R-CNN on a ResNet of four stages; ``classes`` without the background.

    Images are in [0, 1]; torchvision normalises them by what ``network`` was trained with, if it
    knows. ``options`` are those of ``FasterRCNN``, e.g. ``min_size``.
    """
    seen = network.info.preprocessing
    if seen is not None:
        options = {"image_mean": list(seen.mean), "image_std": list(seen.std), **options}
    return FasterRCNN(PyramidBackbone(network), classes + 1, **options)


def loss(
    detector: FasterRCNN,
    images: Sequence[Tensor],
    targets: Sequence[Mapping[str, Tensor]],
    rate: float,
) -> Tensor:
    """The detector's own losses, and what pulls the share of executed paths to ``rate``."""
    losses = detector(list(images), [dict(target) for target in targets])
    executed = detector.backbone.path.weight.mean()
    return sum(losses.values()) + (executed - rate).square()
