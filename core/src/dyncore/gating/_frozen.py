"""Decisions that no image makes any more."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dyncore.gating._decision import Choice, Decision
from dyncore.gating._gate import Gate
from dyncore.gating._router import Router
from dyncore.gating._weights import RouterState


class BlindRouter(Router):
    """In the place of a router that nothing reads: sees nothing, and hands the state on."""

    out_features = 0

    def forward(
        self, pooled: Float[Tensor, "batch channel"], state: RouterState
    ) -> tuple[Float[Tensor, "batch 0"], RouterState]:
        """A feature of no width."""
        return pooled[:, :0], state


class FrozenGate(Gate):
    """Fixes what some paths of a block do, for every image; the others ask the ``gate``."""

    def __init__(
        self, fixed: tuple[bool | None, ...], channels: int = 0, gate: Gate | None = None
    ) -> None:
        """``fixed``: on or off for good; None: each image decides.

        Without ``gate`` nothing is left to decide: every path is fixed, and the ``channels``,
        which would have been gated in a block that is off, are off with it. Raises ValueError
        where a path is not fixed and there is no gate.
        """
        super().__init__()
        if gate is None and (None in fixed or (channels and True in fixed)):
            raise ValueError(f"paths {fixed} with {channels} gated channels need a gate to decide")
        self.fixed = fixed
        self.channels = channels
        self.gate = gate
        self.scales = gate is not None and gate.scales

    def forward(
        self,
        feature: Float[Tensor, "batch feature"],
        noise: Float[Tensor, "batch path logit"] | None = None,
        *,
        relaxed: bool,
    ) -> Decision:
        """See :meth:`Gate.forward`; what is fixed is so in relaxed decisions, too."""
        if self.gate is None:
            on = feature.new_zeros((feature.shape[0], len(self.fixed)), dtype=torch.bool)
            channel_on = on.new_zeros((feature.shape[0], self.channels)) if self.channels else None
            return Decision.of(self._fill(on), channel_on, dtype=feature.dtype)
        decided = self.gate(feature, noise, relaxed=relaxed)
        paths = Choice(self._fill(decided.on), self._fill(decided.weight))
        if decided.training is None:
            return Decision(paths, decided.channels)
        training = decided.training._replace(paths=self._fill(decided.training.paths))
        return Decision(paths, decided.channels, training)

    def agrees(self, on: Bool[Tensor, "batch path"]) -> bool:
        """Whether ``on`` decides what is fixed as it is fixed."""
        return bool((self._fill(on) == on).all())

    def anneal(self, factor: float) -> None:
        """See :meth:`Gate.anneal`."""
        if self.gate is not None:
            self.gate.anneal(factor)

    def move(self, threshold: float) -> None:
        """See :meth:`Gate.move`; what is fixed stays so."""
        if self.gate is not None:
            self.gate.move(threshold)

    def _fill(self, values: Tensor) -> Tensor:
        """``values`` (B, N) with its fixed columns in place."""
        if all(value is None for value in self.fixed):
            return values
        columns = zip(values.split(1, dim=1), self.fixed, strict=True)
        filled = [own if value is None else torch.full_like(own, value) for own, value in columns]
        return torch.cat(filled, dim=1)
