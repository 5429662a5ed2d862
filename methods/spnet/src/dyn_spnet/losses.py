"""Slow progress: the paper's proposals as one objective part, because they share their exits."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from dyn_spnet.evolution import EvolutionConfig, evolution_loss, feature_chains
from dyn_spnet.exits import StageExits, stages_of
from dyn_spnet.twin import Twin, TwinConfig
from dyncore.cost import CostTable
from dyncore.data import Batch
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import ObjectiveConfig, ObjectivePart


class SlowProgress(ObjectivePart):
    """What Eq. 12 adds to the cross-entropy of the network's own logits."""

    def __init__(self, model: DynamicNetwork, config: "SlowProgressConfig") -> None:
        super().__init__()
        self.config = config
        self.stages = stages_of(model)
        self.exits = StageExits(model, self.stages if config.exits else self.stages[-1:])
        self.twin = None if config.twin is None else Twin(model, self.exits, config.twin)

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The terms ``exits``, ``path`` and ``logits``, ``evolution``: of what is on."""
        terms: dict[str, Tensor] = {}
        logits = self.exits(output)
        if self.config.exits:
            losses = [F.cross_entropy(y, batch.labels) for y in logits[:-1]]
            terms["exits"] = self.config.exits_weight * sum(losses, output.logits.new_zeros(()))
        if self.twin is not None:
            terms |= self.twin(output, logits)
        if (evolution := self.config.evolution) is not None:
            chains = feature_chains(output, evolution.strategy, self.stages, self.exits)
            losses = [evolution_loss(chain) for chain in chains]
            terms["evolution"] = evolution.weight * torch.stack(losses).sum()
        return terms

    def after_step(self, model: DynamicNetwork) -> None:
        """Let the twin follow the network."""
        if self.twin is not None:
            self.twin.follow(model, self.exits)


@dataclass(frozen=True, kw_only=True)
class SlowProgressConfig(ObjectiveConfig):
    """Slow down the progress of routers and of features: A, B and C of Table 3."""

    name: ClassVar[str] = "slow-progress"
    twin: TwinConfig | None = TwinConfig()
    """A, the dynamic auxiliary module; None: off."""
    exits: bool = True
    """B, multi-stage classification: an exit at the end of every stage."""
    exits_weight: float = 1.0
    """Weight of the classification by every exit but the last (ours)."""
    evolution: EvolutionConfig | None = EvolutionConfig()
    """C, the direction of feature evolution; None: off."""

    def __post_init__(self) -> None:
        if not 0 <= self.exits_weight < float("inf"):
            raise ValueError(
                f"exits_weight must be finite and not negative, not {self.exits_weight}"
            )
        if self.evolution and self.evolution.strategy != "resolution" and not self.exits:
            raise ValueError(
                f"evolution.strategy={self.evolution.strategy!r} aligns features by the alignment "
                "layers of the exits: turn exits on, or use 'resolution'"
            )

    def build(self, model: DynamicNetwork, table: CostTable) -> SlowProgress:
        """The part. Raises ValueError for a network with a block that no router looks at."""
        if self.exits or self.evolution:
            for site in model.sites[1:]:
                if not site.gated:
                    raise ValueError(
                        "exits and evolution read what the routers pool, but no router looks at "
                        f"block {site.index}: turn both off for this network"
                    )
        return SlowProgress(model, self)
