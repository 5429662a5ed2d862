"""A network of another library as a backbone: its own modules, in stem, blocks and head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.adopt._ends import head_layers, stem_layers
from dyncore.adopt._listing import Adopted, Listed
from dyncore.adopt._path import AdoptedPath, why_not_channels
from dyncore.adopt._segment import Segment, Step, called
from dyncore.adopt._structure import BlockStructure, Structure, find_structure
from dyncore.backbones import Backbone, BackboneConfig, HeadLayers, StemLayers
from dyncore.blocks import Activation, Combine, GatedBlock, Granularity, identity
from dyncore.weights import Library, build_library


@dataclass(frozen=True, kw_only=True)
class AdoptedConfig(BackboneConfig):
    """A network of timm or torchvision, by its name."""

    name: ClassVar[str] = "adopted"
    package: Literal["timm", "torchvision"]
    """Whose network it is."""
    model: str
    """What the package calls it."""
    height: int
    """Of its images, in pixels; what the network itself accepts may be run later."""
    width: int
    """Of its images, in pixels."""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"images of {self.height}×{self.width} pixels: give positive sizes")

    def library(self, num_classes: int) -> Library:
        """Where the network of so many classes comes from."""
        return Library(package=self.package, model=self.model, num_classes=num_classes)

    def build(
        self,
        num_classes: int,
        *,
        granularity: Granularity | None = None,
        combine: Combine = "additive",
    ) -> "AdoptedBackbone":
        """See :meth:`BackboneConfig.build`.

        Raises ValueError for a network that its package does not build, and for several paths;
        :class:`AdoptError`, which is one, for a network without a branch that could be dynamic.
        """
        granularity = granularity or Granularity()
        if self.in_channels != 3:
            raise ValueError(
                f"{self.package}:{self.model} is adopted for images of 3 channels, not "
                f"{self.in_channels}"
            )
        if granularity.paths > 1:
            raise ValueError(
                f"branches of {self.package}:{self.model} keep their weights, so each is one path, "
                f"not {granularity.paths}"
            )
        original = build_library(self.library(num_classes), pretrained=False).network
        return AdoptedBackbone(original, _structure(self, original), self, granularity, combine)


class AdoptedBackbone(Backbone):
    """See :class:`AdoptedConfig`. The network stands in it as ``original``, as it was built."""

    def __init__(
        self,
        original: nn.Module,
        structure: Structure,
        config: AdoptedConfig,
        granularity: Granularity,
        combine: Combine,
    ) -> None:
        super().__init__()
        self.original = original
        self._stem = Segment(original, structure.stem)
        self._head = Segment(original, structure.head)
        self._blocks = nn.ModuleList(
            _block(original, found, combine, granularity.channels) for found in structure.blocks
        )
        self.stages = tuple(found.stage for found in structure.blocks)
        self.adopted = Adopted(
            network=f"{config.package}:{config.model}",
            blocks=tuple(
                _listed(found, block, granularity.channels)
                for found, block in zip(structure.blocks, self.blocks, strict=True)
            ),
            untraced=dict(structure.untraced),
        )
        """Which residual branches are dynamic, and why others are not: print it."""

    @property
    def blocks(self) -> Sequence[GatedBlock]:
        return list(self._blocks)  # type: ignore[arg-type]

    @property
    def stem_layers(self) -> StemLayers | None:
        """See :attr:`Backbone.stem_layers`."""
        return stem_layers(self._stem)

    @property
    def head_layers(self) -> HeadLayers | None:
        """See :attr:`Backbone.head_layers`."""
        return head_layers(self._head)

    def stem(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch *map"]:
        """See :meth:`Backbone.stem`."""
        return self._stem(images)

    def head(self, x: Float[Tensor, "batch *map"]) -> Float[Tensor, "batch classes"]:
        """See :meth:`Backbone.head`."""
        return self._head(x)


_STRUCTURES: dict[AdoptedConfig, Structure] = {}
"""Found once per process: tracing takes as long as all else of building."""


def _structure(config: AdoptedConfig, original: nn.Module) -> Structure:
    if config not in _STRUCTURES:
        _STRUCTURES[config] = find_structure(original, config.height, config.width)
    return _STRUCTURES[config]


def _block(
    original: nn.Module, found: BlockStructure, combine: Combine, gates_channels: bool
) -> GatedBlock:
    path = AdoptedPath.of(
        Segment(original, found.branch), found.channels, gates_channels=gates_channels
    )
    shortcut: nn.Module | None = None
    if found.shortcut is not None:
        shortcut = Segment(original, found.shortcut) if found.shortcut else nn.Identity()
    block = GatedBlock(
        [lambda _: path],
        downsample=shortcut,
        activation=_activation(original, found.activation),
        combine=combine,
    )
    block.channel_axis = found.axis
    return block


def _activation(original: nn.Module, steps: tuple[Step, ...]) -> Activation:
    """None of those that write to what they are given: that may be the block's own input."""
    if not steps:
        return identity
    modules = [original.get_submodule(name) for name in called(steps)]
    if not modules or type(modules[0]) is nn.ReLU:
        return F.relu
    if getattr(modules[0], "inplace", False):
        modules[0].inplace = False  # type: ignore[assignment]
    return Segment(original, steps)


def _listed(found: BlockStructure, block: GatedBlock, gates_channels: bool) -> Listed:
    gates = gates_channels and block.gated
    return Listed(
        owner=found.owner,
        modules=called(found.branch),
        why_static=found.why_static,
        why_not_channels=why_not_channels(block.paths[0].layers) if gates else None,
    )
