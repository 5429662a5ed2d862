"""Model and objective as the one module that is distributed and compiled."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dyncore.cost import CostTable
from dyncore.data import Batch, Preprocessing
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import Objective
from dyncore.recipes import Phase
from dyncore.training._collapse import executed_share


class StepResult(NamedTuple):
    """What one forward pass of training gives."""

    loss: Float[Tensor, ""]
    terms: dict[str, Tensor]
    """The loss's named terms, detached."""
    rate: Float[Tensor, ""]
    """Hard execution rate over the batch and all gated paths, in 0 … 1."""
    macs_ratio: Float[Tensor, ""]
    """Executed MACs, routers included, over the static backbone's."""
    executed: Float[Tensor, "total"]
    """How much of every path evaluation would run, in 0 … 1."""


class TrainingStep(nn.Module):
    """Images in [0, 1] → loss."""

    gated: Tensor

    def __init__(
        self,
        model: DynamicNetwork,
        objective: Objective,
        table: CostTable,
        preprocessing: Preprocessing,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.table = table
        self.preprocessing = preprocessing
        self.learnable = [p for p in self.parameters() if p.requires_grad]
        """What some phase may train: all but what a part keeps fixed, such as a teacher."""
        self.networks = [m for m in self.modules() if isinstance(m, DynamicNetwork)]
        """The model, and teachers of its kind."""
        gated = [block.gated for block in table.blocks for _ in block.paths]
        self.register_buffer("gated", torch.tensor(gated), persistent=False)

    def anneal(self, factor: float) -> None:
        """Multiply the temperature of every gate by ``factor``, in the model and in teachers."""
        for network in self.networks:
            network.anneal(factor)

    def aim(self, target: float | None) -> None:
        """Let the objective's target be another one, and the gates' thresholds move as far.

        None: both as they were; so evaluation wants it.
        """
        self.objective.aim(None)
        own = self.objective.target
        if target is None or own is None:
            for network in self.networks:
                network.move_thresholds(0.0)
            return
        self.objective.aim(target)
        for network in self.networks:
            for gate in network.gates.values():
                gate.move(gate.threshold_at(target, own))  # type: ignore[operator]

    def forward(
        self,
        batch: Batch,
        noise: Float[Tensor, "batch total logit"] | None,
        on: Bool[Tensor, "batch total"] | None,
        active: frozenset[str] | None,
    ) -> StepResult:
        """``on`` forces the paths (warm-up); ``active`` names the objective parts that count."""
        images = self.preprocessing.normalize(batch.images)
        path = None
        if on is not None:
            path = ExecutionPath.of(on, self.model.paths_per_block, dtype=images.dtype)
        return self.judge(batch, self.model(images, path=path, noise=noise), active)

    def judge(self, batch: Batch, output: Output, active: frozenset[str] | None) -> StepResult:
        """The same for what the model said about the batch."""
        terms = self.objective(batch, output, active)
        loss = torch.stack([_at_least_float32(term) for term in terms.values()]).sum()
        with torch.no_grad():
            rate = _share(output.path.on, self.gated)
            macs_ratio = self.table.macs(output.path).double().mean() / self.table.static
        return StepResult(
            loss=loss,
            terms={name: term.detach() for name, term in terms.items()},
            rate=rate,
            macs_ratio=macs_ratio,
            executed=executed_share(output.path),
        )


def set_trainable(module: TrainingStep, phase: Phase) -> list[nn.Parameter]:
    """Let only what the phase trains have gradients; return it.

    Forced paths leave the routers and gates without a gradient, and objective parts that do not
    count have none either.
    """
    for parameter in module.learnable:
        parameter.requires_grad_(True)
    if phase.paths == "uniform":
        module.model.routers.requires_grad_(False)
        module.model.gates.requires_grad_(False)
    if phase.objective is not None:
        for key, part in module.objective.parts.items():
            if key not in phase.objective:
                part.requires_grad_(False)
    return [parameter for parameter in module.learnable if parameter.requires_grad]


def _at_least_float32(term: Tensor) -> Tensor:
    return term if term.dtype == torch.float64 else term.float()


def _share(on: Tensor, counted: Tensor) -> Tensor:
    """Share of the counted columns that is on; 1 where none is counted (static)."""
    counted = counted.to(on.device)
    total = counted.sum() * on.shape[0]
    share = (on & counted).sum().double() / total.clamp_min(1)
    return torch.where(total > 0, share, 1.0)
