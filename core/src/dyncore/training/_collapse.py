"""Gates that have stopped deciding."""

import torch
from jaxtyping import Float
from torch import Tensor

from dyncore.cost import CostTable
from dyncore.gating import Decision, ExecutionPath


@torch.no_grad()
def executed_share(path: ExecutionPath) -> Float[Tensor, "total"]:
    """How much of every path evaluation would run: mean over the images, in 0 ... 1.

    Of a path whose channels are gated it runs the share of them that is on.
    """
    evaluated = path.noise_free
    if path.channel_on is None:
        return evaluated.weight.mean(0)
    return torch.cat([_executed(decision) for decision in evaluated])


def _executed(decision: Decision) -> Float[Tensor, "path"]:
    if decision.channels is None:
        return decision.weight.mean(0)
    return (decision.weight * decision.channels.weight.mean(1, keepdim=True)).mean(0)


class CollapseWatch:
    """Adds up the steps of an epoch and names the gates that decided the same in all of them."""

    def __init__(self, table: CostTable) -> None:
        self._columns = [
            (block, path, len(cost.paths), cost.gated)
            for block, cost in enumerate(table.blocks)
            for path in range(len(cost.paths))
        ]
        self.reset()

    def reset(self) -> None:
        self._steps = 0
        self._total: Tensor | None = None

    def add(self, shares: Tensor) -> None:
        """Note one step's executed shares of all paths."""
        self._total = shares.double() if self._total is None else self._total + shares
        self._steps += 1

    @property
    def mean(self) -> Tensor | None:
        """Mean executed share of every path since the reset; None before the first step."""
        return None if self._total is None else self._total / self._steps

    def stuck(self, mean: Tensor) -> list[str]:
        """'block 3 on' for each gated block, or path of several, that was never off; or never on.

        ``mean`` is that of all processes.
        """
        found = []
        for (block, path, paths, gated), share in zip(self._columns, mean.tolist(), strict=True):
            if gated and share in (0.0, 1.0):
                name = f"block {block}" if paths == 1 else f"path {path} of block {block}"
                found.append(f"{name} {'on' if share else 'off'}")
        return found
