"""An image's decisions over all blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dyncore.gating._decision import Decision
from dyncore.gating._pytree import register_result


@dataclass(frozen=True, init=False)
class ExecutionPath:
    """The decisions of a batch, one :class:`Decision` per block of the backbone.

    A block that is not gated is always on. It is made of any iterable, as a list is, and torch sees
    the tensors in it (a pytree).

    >>> import torch
    >>> from dyncore import ExecutionPath
    >>> path = ExecutionPath.of(torch.tensor([[True, False, True]]), paths_per_block=(1, 2))
    >>> path
    ExecutionPath(batch 1: 3 paths in 2 blocks)
    >>> path.on
    tensor([[ True, False,  True]])
    """

    decisions: Sequence[Decision]

    def __init__(self, decisions: Iterable[Decision]) -> None:
        held = decisions if isinstance(decisions, Sequence) else tuple(decisions)
        object.__setattr__(self, "decisions", held)

    @classmethod
    def of(
        cls,
        on: Bool[Tensor, "batch total"],
        paths_per_block: Sequence[int],
        channel_on: Bool[Tensor, "batch total_channel"] | None = None,
        channels_per_block: Sequence[int] | None = None,
        *,
        dtype: torch.dtype | None = None,
    ) -> "ExecutionPath":
        """Decisions from a table of 0s and 1s, as read from a file or drawn at random.

        ``on`` has one column per path in the order of the blocks; ``channel_on`` one column per
        gated channel. Raises ValueError if the columns do not add up.
        """
        if on.shape[1] != sum(paths_per_block):
            raise ValueError(
                f"on has {on.shape[1]} columns, but the blocks have {sum(paths_per_block)} paths"
            )
        columns = on.split(list(paths_per_block), dim=1)
        if channel_on is None:
            return cls(tuple(Decision.of(column, dtype=dtype) for column in columns))
        if channels_per_block is None or channel_on.shape[1] != sum(channels_per_block):
            raise ValueError(
                f"channel_on has {channel_on.shape[1]} columns, but channels_per_block is "
                f"{channels_per_block}: their sum must be the number of columns"
            )
        channels = channel_on.split(list(channels_per_block), dim=1)
        return cls(
            tuple(
                Decision.of(column, channel if channel.shape[1] else None, dtype=dtype)
                for column, channel in zip(columns, channels, strict=True)
            )
        )

    @classmethod
    def always_on(
        cls, x: Float[Tensor, "batch ..."], paths_per_block: Sequence[int]
    ) -> "ExecutionPath":
        """Every path on, for every image of ``x``."""
        return cls(tuple(Decision.always_on(x, paths) for paths in paths_per_block))

    def __repr__(self) -> str:
        channels = sum(d.channels.on.shape[1] for d in self.decisions if d.channels is not None)
        batch = len(self.decisions[0].on) if self.decisions else 0
        gated = f" and {channels} channels" if channels else ""
        blocks, paths = len(self.decisions), sum(self.paths_per_block)
        return f"ExecutionPath(batch {batch}: {paths} paths{gated} in {blocks} blocks)"

    def __len__(self) -> int:
        return len(self.decisions)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)

    def __getitem__(self, block: int) -> Decision:
        return self.decisions[block]

    def map(self, change: Callable[..., Tensor], *others: "ExecutionPath") -> "ExecutionPath":
        """``change`` of every tensor of every decision; see :meth:`Decision.map`."""
        alike = zip(self, *others, strict=True)
        return ExecutionPath(tuple(first.map(change, *rest) for first, *rest in alike))

    def images(self, images: slice | Tensor) -> "ExecutionPath":
        """The execution paths of some of the images."""
        return ExecutionPath(tuple(decision.images(images) for decision in self.decisions))

    @property
    def noise_free(self) -> "ExecutionPath":
        """The same with weights as evaluation would decide them: 0 or 1, without noise.

        Their gradient is that of the on-probability, or of the salience. Decisions that are what
        evaluation takes, such as forced ones, keep their weights.
        """
        return ExecutionPath(tuple(decision.as_evaluated for decision in self))

    @property
    def all_on(self) -> "ExecutionPath":
        """The same with everything on, paths and channels."""
        return ExecutionPath(tuple(decision.all_on for decision in self))

    @property
    def on(self) -> Bool[Tensor, "batch total"]:
        """Every path of every block, in order."""
        return torch.cat([decision.on for decision in self.decisions], dim=1)

    @property
    def weight(self) -> Float[Tensor, "batch total"]:
        """The weight of every path of every block, in order; differentiable."""
        return torch.cat([decision.weight for decision in self.decisions], dim=1)

    @property
    def channel_on(self) -> Bool[Tensor, "batch total_channel"] | None:
        """Every gated channel of every block, in order; None without channel gating."""
        gated = [d.channels.on for d in self.decisions if d.channels is not None]
        return torch.cat(gated, dim=1) if gated else None

    @property
    def execution_rate(self) -> Float[Tensor, "block"]:
        """Mean of ``on`` over the images and the paths of each block, in 0 … 1."""
        return torch.stack([d.on.float().mean() for d in self.decisions])

    @property
    def paths_per_block(self) -> tuple[int, ...]:
        return tuple(decision.on.shape[1] for decision in self.decisions)


register_result(ExecutionPath, ExecutionPath)
