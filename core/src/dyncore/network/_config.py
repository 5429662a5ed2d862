"""What a network is made of."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Combine, Granularity
from dyncore.gating import GateConfig, RouterConfig

Norms: TypeAlias = Literal["own", "shared"]


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A smaller network inside of a static one, trained together with it."""

    blocks: tuple[int, ...]
    """Numbers of the blocks that it keeps, ascending; the first of each stage is among them."""
    norms: Norms = "own"
    """Norms of its own, or, for an early exit, those of the whole network: then its blocks are the
    network's first ones, and what both compute is the same. The last layer is always its own."""

    def __post_init__(self) -> None:
        if self.norms == "shared" and self.blocks != tuple(range(len(self.blocks))):
            raise ValueError(
                f"blocks {self.blocks} with shared norms are not the first ones: an early exit "
                "keeps all blocks up to some one; else use norms='own'"
            )


@dataclass(frozen=True, kw_only=True)
class DynamicConfig:
    """A network as a choice of parts; any combination that fits together is a model."""

    backbone: BackboneConfig
    """The residual network."""
    num_classes: int
    """Number of logits."""
    granularity: Granularity = field(default_factory=Granularity)
    """What is gated."""
    router: RouterConfig | None = None
    """What looks at a block's input; None together with ``gate``: the static network."""
    gate: GateConfig | None = None
    """What decides."""
    combine: Combine = "additive"
    """How decision and block meet."""
    nested: tuple[Subnet, ...] = ()
    """Smaller networks that share the convolutions of a static one, of growing size."""
    frozen: tuple[bool, ...] = ()
    """Of a network without routers: whether each path of each block is there, for every image; a
    frozen subnet. Empty: all of them are."""

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, not {self.num_classes}")
        if (self.router is None) != (self.gate is None):
            raise ValueError("router and gate go together: give both, or neither (static)")
        if self.combine == "blend" and self.granularity != Granularity():
            raise ValueError(
                "combine='blend' mixes whole blocks: it needs granularity.paths = 1 and no "
                "channels; use 'additive'"
            )
        if self.gate is None and self.granularity.channels:
            raise ValueError("granularity.channels needs a gate that decides channels: 'relu1'")
        if self.frozen and (self.gate is not None or self.nested):
            raise ValueError("frozen fixes every path: leave router, gate and nested out")
        if self.nested and (self.gate is not None or self.granularity != Granularity()):
            raise ValueError("nested subnets are part of a static network: leave the gate out")
        sizes = [len(subnet.blocks) for subnet in self.nested]
        if sizes != sorted(set(sizes)):
            raise ValueError(f"nested subnets keep {sizes} blocks: give them in growing size")
        if any(self.of(subnet).backbone == self.backbone for subnet in self.nested):
            raise ValueError("a nested subnet keeps all blocks: that is the network itself")

    @property
    def static(self) -> "DynamicConfig":
        """The plain backbone, without routers: what costs and times are compared with."""
        return DynamicConfig(backbone=self.backbone, num_classes=self.num_classes)

    def of(self, subnet: Subnet) -> "DynamicConfig":
        """What the subnet is by itself. Raises ValueError for blocks that make no network."""
        return replace(self, backbone=self.backbone.keeping(subnet.blocks), nested=())
