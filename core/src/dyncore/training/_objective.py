"""A method's loss for a training loop of one's own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dyncore.adopt import AdoptedConfig
from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.network import DynamicNetwork, Exploring, Output
from dyncore.objectives import Objective
from dyncore.recipes import Phase, find_recipe, held, plain_recipe
from dyncore.training._step import StepResult, TrainingStep, set_trainable


def objective(
    model: DynamicNetwork,
    budget: float | None = None,
    *,
    recipe: str | None = None,
    size: int | None = None,
    preprocessing: Preprocessing | None = None,
) -> "LoopObjective":
    """See :func:`dyncore.objective`."""
    if not isinstance(model, DynamicNetwork):
        raise TypeError(
            f"an objective is that of a network of dyncore, not of {type(model).__name__}: give it "
            "before it is wrapped for several processes or compiled; dyncore.make_dynamic makes "
            "one of a network of timm or torchvision"
        )
    if recipe is None and model.info.method is None:
        raise ValueError(
            "the model does not say which method it is of (model.info.method): name the recipe "
            "whose losses it is to have, dyncore.objective(model, recipe=...)"
        )
    if recipe is None:
        found = plain_recipe(model.info.method or "", budget)
    else:
        found = find_recipe(recipe)
        found = found if budget is None else held(found, budget)
    preprocessing = preprocessing or model.info.preprocessing
    channels = model.config.backbone.in_channels
    side = size or (None if preprocessing is None else preprocessing.size)
    backbone = model.config.backbone
    if side is not None:
        table = cost_table(model, (channels, side, side))
    elif isinstance(backbone, AdoptedConfig):
        table = cost_table(model, (channels, backbone.height, backbone.width))
    else:
        raise ValueError(
            "the model does not say how large its images are: dyncore.objective(model, size=224)"
        )
    weight = next(model.parameters())
    parts = {key: part.build(model, table) for key, part in found.objective.items()}
    unchanged = Preprocessing(
        mean=(0.0,) * channels, std=(1.0,) * channels, size=table.input_size[1]
    )
    step = TrainingStep(model, Objective(parts), table, preprocessing or unchanged)
    step.objective.to(weight.device, weight.dtype)
    return LoopObjective(step, found.phases)


class LoopObjective(nn.Module):
    """See :func:`objective`. Its parameters are heads and exits of the loss, to be trained, too."""

    def __init__(self, step: TrainingStep, phases: Sequence[Phase]) -> None:
        super().__init__()
        self.objective = step.objective
        self._step = (step,)  # a tuple: the model is no part of this module
        self._phases = {phase.name: phase for phase in phases}
        self.last: StepResult | None = None
        """What the last call found: named terms of the loss, execution rate, MACs ratio."""
        routed = [phase for phase in phases if phase.paths == "routed"] or [*phases]
        self.start(routed[-1].name)

    @property
    def parts(self) -> nn.ModuleDict:
        """The loss's parts by name; those with a ``target`` hold the budget."""
        return self.objective.parts

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The stretches of the method's training, in order, with their epochs and schedules."""
        return tuple(self._phases.values())

    @property
    def phase(self) -> Phase:
        """The one that it is in; the last one in which gates decide, unless one was started."""
        return self._phase

    def start(self, phase: str) -> None:
        """Go on with another phase: which parts count, what trains, how paths are chosen.

        What a phase does not train gets ``requires_grad=False``: make a new optimiser, and wrap the
        model for several processes, after it. Raises ValueError for a phase that there is not.
        """
        if phase not in self._phases:
            raise ValueError(f"there is no phase {phase!r}: there are {', '.join(self._phases)}")
        self._phase = self._phases[phase]
        set_trainable(self._step[0], self._phase)
        self.set_progress(1.0)

    def set_progress(self, share: float) -> None:
        """Say how far the phase is, 0 … 1: the gates' temperature and noise, and targets, follow.

        Only phases with ``annealing`` or ``opening`` have use for it. Raises ValueError for a share
        out of range.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"progress is a share of the phase, 0 to 1, not {share}")
        (step,), phase = self._step, self._phase
        step.anneal(phase.temperature(share))
        step.objective.open(phase.openness(share))
        step.model.exploring = Exploring(
            noise=phase.noise(share), paths=phase.paths == "uniform", rates=phase.rates
        )

    def forward(
        self,
        images: Float[Tensor, "batch channel height width"],
        labels: Int[Tensor, "batch"],
        out: Output,
    ) -> Float[Tensor, ""]:
        """The loss; ``images`` are what the model was given, ``out`` is all that it answered."""
        if not isinstance(out, Output):
            raise TypeError(
                f"the objective reads all that the model answers, not {type(out).__name__}: give "
                "out = model(images), and out.logits to who wants logits"
            )
        (step,) = self._step
        pixels = step.preprocessing.denormalize(images.detach())
        index = torch.arange(len(labels), device=labels.device)
        active = self._phase.objective
        result = step.judge(
            Batch(pixels, labels, index), out, None if active is None else frozenset(active)
        )
        self.last = result._replace(loss=result.loss.detach())
        return result.loss

    def after_step(self) -> None:
        """To be called after each step of the optimiser: teachers follow the model."""
        (step,) = self._step
        step.objective.after_step(step.model)
