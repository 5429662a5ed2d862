"""The way of a batch through the blocks: at each one, decide, run it, remember both."""

from collections.abc import Callable, Container, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from dyncore.gating import Decision, ExecutionPath, RouterState
from dyncore.network._site import Site

Execute: TypeAlias = Callable[[Site, Tensor, Decision | None], Tensor]
"""A site, its input and its decision, None where nothing is decided → the block's output."""
Pool: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A map → itself and its mean over pixels."""


def run_masked(site: Site, x: Tensor, decision: Decision | None) -> Tensor:
    """Every path, weighted by its decision."""
    return site.block(x, None if site.frozen else decision)


class Walk:
    """One batch's.

    Everything is kept by the block's number, so that a block which is run again (activation
    checkpointing) finds what it found before.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        execute: Execute,
        keep: Container[int],
        *,
        pool: Pool | None,
        detached: bool,
        path: ExecutionPath | None,
        noise: Tensor | None,
        relaxed: bool,
    ) -> None:
        """``keep`` says of which blocks the outputs are kept.

        ``detached``: routers see maps that take no gradient of theirs.
        """
        self.sites, self._keep = sites, keep
        self._execute, self._pool, self._detached = execute, pool, detached
        self._path, self.noise, self._relaxed = path, noise, relaxed
        self._states: list[RouterState] = [() for _ in range(len(sites) + 1)]
        self.decisions: list[Decision | None] = [None for _ in sites]
        self.features: list[Tensor | None] = [None for _ in sites]
        self.pooled: list[Tensor | None] = [None for _ in sites]
        self.kept: dict[int, Tensor] = {}
        """What blocks gave, by their number."""

    def run(self, index: int, x: Tensor) -> Tensor:
        """The output of block ``index`` for the input ``x``."""
        site, state, decision = self.sites[index], self._states[index], None
        if site.router is not None and site.gate is not None:
            if self._path is None:
                x, pooled = (x, site.block.pool(x)) if self._pool is None else self._pool(x)
                seen = pooled.detach() if self._detached else pooled
                feature, state = site.router(seen, state)
                heard = None if self.noise is None else self.noise[:, site.columns]
                decision = site.gate(feature, heard, relaxed=self._relaxed)
                self.features[index], self.pooled[index] = feature, pooled
            else:
                decision = self._path[index]
        self._states[index + 1] = state
        out = self._execute(site, x, decision)
        self.decisions[index] = decision or Decision.always_on(out, len(site.block.paths))
        if index in self._keep:
            self.kept[index] = out
        return out

    @property
    def path(self) -> ExecutionPath | tuple[Decision, ...]:
        """The decisions about the blocks that ran; a plain tuple while ``torch.jit`` traces."""
        decided = tuple(decision for decision in self.decisions if decision is not None)
        tracing: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]
        if tracing():  # it sees tensors in plain tuples alone
            return decided
        return ExecutionPath(decided)
