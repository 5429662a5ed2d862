"""The cost table: MACs of every part of a network for one input size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dyncore.gating import ExecutionPath

Accounting: TypeAlias = Literal["sequential", "parallel"]


@dataclass(frozen=True)
class PathCost:
    """MACs of one path for one image."""

    layers: tuple[int, ...]
    """MACs of each layer, every channel on."""
    channels: int = 0
    """Number of gated channels between the first layer and the second; 0: not gated."""

    @property
    def total(self) -> int:
        return sum(self.layers)

    def fixed(self, accounting: Accounting) -> int:
        """MACs that do not depend on the channels' decisions."""
        if not self.channels:
            return self.total
        first = self.layers[0] if accounting == "parallel" else 0
        return first + sum(self.layers[2:])

    def per_channel(self, accounting: Accounting) -> int:
        """MACs of one gated channel."""
        return (self.total - self.fixed(accounting)) // max(1, self.channels)


@dataclass(frozen=True)
class BlockCost:
    """MACs of one block for one image."""

    gated: bool
    router: int
    """Router and gate; always run."""
    shortcut: int
    """Projection shortcut; always runs."""
    paths: tuple[PathCost, ...]


@dataclass(frozen=True)
class CostTable:
    """What a network costs, in MACs of convolutions and linear layers (1 MAC = 2 FLOPs).

    A path that is on costs ``fixed + Σ channels on × per-channel``. *Sequential* accounting is
    what really runs: a gated channel that is off saves its part of the first convolution and of
    the second. *Parallel* (LC-Net, section 3.2) computes the first convolution while the gate is
    still deciding, so it belongs to *fixed*.
    """

    input_size: tuple[int, int, int]
    static: int
    """The plain backbone: one path per block, no routers."""
    stem: int
    head: int
    blocks: tuple[BlockCost, ...]
    unit: str = "MACs"
    """``MACs``, or ``ns`` where an engine's profile measured times (``dyncore.Profile``)."""

    @property
    def always(self) -> int:
        """What every image pays: stem, head, routers, shortcuts and blocks that are not gated."""
        ungated = sum(p.total for b in self.blocks if not b.gated for p in b.paths)
        return self.stem + self.head + ungated + sum(b.router + b.shortcut for b in self.blocks)

    def __post_init__(self) -> None:
        # No cached property: its lock would break a graph that is being compiled.
        object.__setattr__(self, "_known", {})

    @property
    def gated(self) -> int:
        """All that decisions can save: every path of every gated block."""
        return sum(p.total for b in self.blocks if b.gated for p in b.paths)

    @property
    def full(self) -> int:
        """Every path on, routers included."""
        return self.always + self.gated

    def macs(
        self, path: ExecutionPath, accounting: Accounting = "sequential"
    ) -> Int[Tensor, "batch"]:
        """MACs that each image executes: reads ``on``."""
        if all(d.channels is None for d in path):
            on = path.on
            return self.always + (on * self._path_costs(on.device, torch.int64)).sum(1)
        costs = [
            self._block(b, d.on.long(), None if d.channels is None else d.channels.on, accounting)
            for b, d in zip(self.blocks, path, strict=True)
            if b.gated
        ]
        return self.always + torch.stack(costs).sum(0)

    def expected(
        self, path: ExecutionPath, accounting: Accounting = "sequential"
    ) -> Float[Tensor, "batch"]:
        """MACs with ``weight`` in place of ``on``: differentiable.

        Equal to :meth:`macs` for hard 0 and 1 weights; for saliences (LC-Net) a proxy.
        """
        return self.always + self.expected_gated(path, accounting)

    def expected_gated(
        self, path: ExecutionPath, accounting: Accounting = "sequential"
    ) -> Float[Tensor, "batch"]:
        """The part of :meth:`expected` that decisions can change; in 0 … :attr:`gated`."""
        if all(d.channels is None for d in path):
            weight = path.weight
            return weight @ self._path_costs(weight.device, weight.dtype)
        costs = [
            self._block(b, d.weight, None if d.channels is None else d.channels.weight, accounting)
            for b, d in zip(self.blocks, path, strict=True)
            if b.gated
        ]
        return torch.stack(costs).sum(0)

    def ratio(self, macs: int | float) -> float:
        """MACs ratio: ``macs`` over the static backbone's."""
        return macs / self.static

    def _path_costs(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """MACs of every path, 0 where it is not gated; copied to each device once."""
        known: dict[tuple[torch.device, torch.dtype], Tensor] = self._known  # type: ignore[attr-defined]
        key = (device, dtype)
        if key in known:
            return known[key]
        costs = [p.total if b.gated else 0 for b in self.blocks for p in b.paths]
        if torch.compiler.is_compiling():
            return torch.tensor(costs, dtype=dtype, device=device)
        with torch.inference_mode(False):  # for training, too, whoever asks first
            values = torch.tensor(costs, dtype=dtype, device=device)
        if type(values) is Tensor:  # and not one without values, of a dry run
            known[key] = values
        return values

    @staticmethod
    def _block(
        block: BlockCost, on: Tensor, channels: Tensor | None, accounting: Accounting
    ) -> Tensor:
        total = on.new_zeros(on.shape[0])
        for n, path in enumerate(block.paths):
            cost: Tensor | int = path.total
            if path.channels and channels is not None:
                chosen = channels.to(on.dtype).sum(1)
                cost = path.fixed(accounting) + path.per_channel(accounting) * chosen
            total = total + on[:, n] * cost
        return total

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "CostTable":
        """A table from the JSON types of its fields."""
        fields = dict(table)
        blocks = tuple(
            BlockCost(
                gated=b["gated"],
                router=b["router"],
                shortcut=b["shortcut"],
                paths=tuple(PathCost(tuple(p["layers"]), p["channels"]) for p in b["paths"]),
            )
            for b in fields.pop("blocks")
        )
        return cls(input_size=tuple(fields.pop("input_size")), blocks=blocks, **fields)

    def __str__(self) -> str:
        size = "×".join(map(str, self.input_size))
        lines = [
            f"{self.unit} for one {size} image{' (1 MAC = 2 FLOPs)' * (self.unit == 'MACs')}",
            f"{'part':>10} {'gated':>5} {'router':>12} {'shortcut':>13} {'paths':>15}",
            f"{'stem':>10} {'':>5} {'':>12} {'':>13} {self.stem:>15,}",
        ]
        for index, block in enumerate(self.blocks):
            paths = " + ".join(f"{path.total:,}" for path in block.paths)
            gated = "yes" if block.gated else "no"
            name = f"block {index}"
            row = f"{name:>10} {gated:>5} {block.router:>12,} {block.shortcut:>13,} {paths:>15}"
            lines.append(row)
        lines += [
            f"{'head':>10} {'':>5} {'':>12} {'':>13} {self.head:>15,}",
            f"static backbone {self.static:,}; every path on {self.full:,} "
            f"(ratio {self.ratio(self.full):.3f}); nothing on {self.always:,} "
            f"(ratio {self.ratio(self.always):.3f})",
        ]
        return "\n".join(lines)
