"""Which branches of a network are dynamic, and why others are not."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Listed:
    """One block of the network."""

    owner: str
    """Name of the module in whose forward it is written."""
    modules: tuple[str, ...]
    """Names of what the branch calls."""
    why_static: str | None
    """Why it always runs; None: it is dynamic."""
    why_not_channels: str | None = None
    """Why its channels are not gated, where a method gates them."""

    @property
    def dynamic(self) -> bool:
        """Whether a router decides about it."""
        return self.why_static is None

    @property
    def calls(self) -> str:
        """Names of what it calls, inside of its owner."""
        names = [name.removeprefix(f"{self.owner}.") for name in self.modules]
        shown = names if len(names) < 7 else [*names[:3], "…", *names[-2:]]
        return " → ".join(shown)


@dataclass(frozen=True)
class Adopted:
    """All blocks between stem and head, in order. Printed, it is a table."""

    network: str
    """Library and name."""
    blocks: tuple[Listed, ...]
    untraced: Mapping[str, str]
    """Modules that could not be looked into, by name, with the reason."""

    @property
    def dynamic(self) -> int:
        """Number of dynamic branches."""
        return sum(block.dynamic for block in self.blocks)

    def __str__(self) -> str:
        width = max(len(block.owner) for block in self.blocks)
        lines = [f"{self.network}: {self.dynamic} of {len(self.blocks)} blocks are dynamic"]
        for index, block in enumerate(self.blocks):
            state = "dynamic" if block.dynamic else f"static: {block.why_static}"
            if block.why_not_channels is not None:
                state += f", its channels are not gated: {block.why_not_channels}"
            lines.append(f"{index:>4} {block.owner:<{width}}  {block.calls}  ({state})")
        lines += [f"not looked into: {name}, {why}" for name, why in self.untraced.items()]
        return "\n".join(lines)
