"""What a network draws by itself in training."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Exploring:
    """For loops that call a network with images alone; a recipe's trainer draws by itself."""

    noise: float = 1.0
    """What multiplies the gates' noise."""
    paths: bool = False
    """Draw paths in place of noise: no router runs then."""
    rates: tuple[float, ...] = ()
    """With which probability each path is drawn; empty: 1/2."""
