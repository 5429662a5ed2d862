"""The steps of one phase: forward, backward, optimiser."""

from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch.optim import Optimizer

from dyncore.data import Batch
from dyncore.recipes import Recipe
from dyncore.training._accumulate import mean_result, micro_batches
from dyncore.training._optimizer import build_optimizer, scale_learning_rates
from dyncore.training._options import RunOptions
from dyncore.training._plan import PlannedPhase
from dyncore.training._random import draw_decisions, seed_modules
from dyncore.training._step import StepResult, TrainingStep, set_trainable


class Updater:
    """Trains ``module`` through one phase; builds its optimiser, and wraps both for accelerate."""

    def __init__(
        self,
        module: TrainingStep,
        planned: PlannedPhase,
        recipe: Recipe,
        options: RunOptions,
        accelerator: Accelerator,
    ) -> None:
        self._bare = module
        self._planned = planned
        self._options = options
        self._accelerator = accelerator
        self._batch_size = recipe.batch_size
        trainable = set_trainable(module, planned.phase)
        self.optimizer: Optimizer = build_optimizer(module.model, trainable, recipe.optimizer)
        self._module, self._prepared = accelerator.prepare(module, self.optimizer)
        active = planned.phase.objective
        self._active = None if active is None else frozenset(active)

    def backward(self, batch: Batch, step: int) -> StepResult:
        """The step's gradient, from its micro-batches; no parameter changes yet."""
        planned, process = self._planned, self._accelerator.process_index
        scale_learning_rates(self.optimizer, planned.learning_rate_factor(step))
        self._bare.anneal(planned.temperature_factor(step))
        if planned.phase.budgets:
            self._bare.aim(planned.budget(step, self._options.seed))
        self._bare.objective.open(planned.openness(step))
        noise, on = self._draw(step)
        seed_modules(self._options.seed, step, process)
        count, results = self._options.accumulate, []
        for index, part in enumerate(micro_batches(batch, noise, on, count)):
            last = index + 1 == count
            # Gradients are averaged over the processes once, with the last micro-batch.
            with nullcontext() if last else self._accelerator.no_sync(self._module):
                result = self._module(*part, self._active)
                self._accelerator.backward(result.loss / count)
            results.append(result)
        return mean_result(results)

    def step(self) -> None:
        """Let the optimiser apply the gradient, and parts with a teacher move it."""
        self._prepared.step()
        self._prepared.zero_grad()
        self._bare.objective.after_step(self._bare.model)
        if self._planned.phase.budgets:
            self._bare.aim(None)

    def train(self) -> None:
        """Put the module into training mode."""
        self._module.train()

    def close(self) -> None:
        """Unwrap the module, for what comes next."""
        self._accelerator.unwrap_model(self._module, keep_fp32_wrapper=False)
        self._accelerator.free_memory()

    def _draw(self, step: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Gate noise, or forced paths, for this process's share of the step's batch."""
        each = self._batch_size // self._accelerator.num_processes
        first = self._accelerator.process_index * each
        noise, on = draw_decisions(
            self._bare.model,
            self._planned.phase,
            seed=self._options.seed,
            step=step,
            batch=self._batch_size,
            share=slice(first, first + each),
        )
        return (None if noise is None else noise * self._planned.noise_factor(step)), on
