"""The backbone's interface: stem, a chain of blocks, head."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dyncore.backbones._ends import HeadLayers, StemLayers
from dyncore.backbones._route import Route, run_blocks
from dyncore.blocks import Combine, GatedBlock, Granularity
from dyncore.gating import PartConfig


class Backbone(nn.Module, ABC):
    """A residual network in three pieces; its modules have torchvision's names.

    Called without a route it is the static network, every path on, as it is to what takes networks
    apart by their modules (``IntermediateLayerGetter``, ``create_feature_extractor``, an FPN).
    """

    stages: tuple[int, ...]
    """The stage (resolution) that each block belongs to, counted from 0."""

    @property
    def stem_layers(self) -> StemLayers | None:
        """What :meth:`stem` is made of; None: not told, and an engine runs it as it is.

        Who overrides ``stem`` overrides this, too: else it counts as not told.
        """
        return None

    @property
    def head_layers(self) -> HeadLayers | None:
        """The same of :meth:`head`."""
        return None

    @property
    @abstractmethod
    def blocks(self) -> Sequence[GatedBlock]:
        """Every block, in the order in which an image meets them."""

    @abstractmethod
    def stem(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch *map"]:
        """What runs before the first block."""

    @abstractmethod
    def head(self, x: Float[Tensor, "batch *map"]) -> Float[Tensor, "batch classes"]:
        """What runs after the last block: logits."""

    def trunk(
        self,
        x: Float[Tensor, "batch *map"],
        *,
        route: Route | None = None,
        stages: int | None = None,
    ) -> Float[Tensor, "batch *out_map"]:
        """The blocks of the first so many stages, one after the other; None: of all."""
        count = len(self.stages) if stages is None else bisect_left(self.stages, stages)
        return run_blocks(self.blocks[:count], x, route)

    def forward(
        self, images: Float[Tensor, "batch channel height width"], *, route: Route | None = None
    ) -> Float[Tensor, "batch classes"]:
        """Stem, blocks, head; ``route`` says how each block runs, None: with every path on."""
        return self.head(self.trunk(self.stem(images), route=route))


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(PartConfig):
    """Configuration of a backbone; abstract."""

    in_channels: int = 3
    """Channels of the images."""

    @abstractmethod
    def build(
        self,
        num_classes: int,
        *,
        granularity: Granularity | None = None,
        combine: Combine = "additive",
    ) -> Backbone:
        """The backbone whose blocks have the given granularity (None: the static one)."""

    def first_blocks(self, share: float) -> tuple[int, ...]:
        """Numbers of about ``share`` of every stage's blocks, its first ones, at least one.

        Raises ValueError as :meth:`keeping` does, and for a share outside of (0, 1].
        """
        raise ValueError(f"{self.name} has no smaller form of fewer blocks: use a ResNet backbone")

    def keeping(self, blocks: Sequence[int]) -> "BackboneConfig":
        """The backbone that has these of the blocks alone, with the same layers in them.

        Raises ValueError for numbers that make no such backbone, and for a kind that has none.
        """
        raise ValueError(f"{self.name} has no smaller form of fewer blocks: use a ResNet backbone")


def check_in_channels(in_channels: int) -> None:
    """Raise ValueError for images without channels."""
    if in_channels < 1:
        raise ValueError(f"in_channels must be at least 1, not {in_channels}")


def initialise(backbone: Backbone) -> None:
    """He initialisation by fan-out; norms start as the identity, linear layers as in torch.

    Weights on the meta device are left: there, torch would import its compiler to draw nothing.
    """
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
