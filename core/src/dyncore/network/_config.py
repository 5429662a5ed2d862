"""What a network is made of."""

from dataclasses import dataclass, field

from dyncore.backbones import BackboneConfig
from dyncore.blocks import Combine, Granularity
from dyncore.gating import GateConfig, RouterConfig


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
