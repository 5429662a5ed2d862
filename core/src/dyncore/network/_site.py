"""A place in the network where something may be decided."""

from dataclasses import dataclass

from dyncore.blocks import GatedBlock
from dyncore.gating import FrozenGate, Gate, Router


@dataclass(frozen=True)
class Site:
    """A block with the router and the gate before it; both None where nothing is decided."""

    index: int
    """Of the block in the backbone."""
    block: GatedBlock
    router: Router | None
    gate: Gate | None
    columns: slice
    """The block's paths among all paths of the network."""

    @property
    def gated(self) -> bool:
        """Whether anything is decided here."""
        return self.gate is not None

    @property
    def frozen(self) -> bool:
        """Whether the block does the same for every image: not gated, or fixed as a whole."""
        return self.gate is None or (isinstance(self.gate, FrozenGate) and self.gate.gate is None)

    @property
    def channels(self) -> int:
        """Gated channels of the block's first convolution; 0: none."""
        return 0 if self.gate is None else self.gate.channels
