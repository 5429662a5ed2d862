"""Blocks one after the other, each of which a network may run in its own way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn


@final
@dataclass(frozen=True, eq=False)
class Route:
    """How a network runs the blocks of its backbone.

    It travels through the backbone's own modules, so that these are called as they are in any other
    network: hooks fire, wrappers wrap.
    """

    run: Callable[[int, Tensor], Tensor]
    """A block's number and its input → its output. A part of the network that is run again, for a
    backward pass that kept nothing, asks it again."""


def run_blocks(
    blocks: Iterable[nn.Module], x: Tensor, route: Route | None, first: int = 0
) -> Tensor:
    """What ``blocks``, of which the first has the number ``first``, make of ``x``.

    Without a route every one is called as it stands; so it is while the backbone is being traced
    (``torch.fx``), when all arguments but those given are stand-ins.
    """
    for index, block in enumerate(blocks, first):
        x = route.run(index, x) if isinstance(route, Route) else block(x)
    return x


class Stage(nn.Sequential):
    """The blocks of one resolution."""

    def __init__(self, *blocks: Any, first: int = 0) -> None:
        """Blocks as ``nn.Sequential`` takes them; the first one has this number in the backbone."""
        super().__init__(*blocks)
        self.first = first

    def forward(
        self, x: Float[Tensor, "batch channel height width"], *, route: Route | None = None
    ) -> Float[Tensor, "batch out_channel out_height out_width"]:
        return run_blocks(self, x, route, self.first)
