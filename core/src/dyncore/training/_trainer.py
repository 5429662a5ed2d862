"""From a recipe to a saved model."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.optim import Optimizer
from tqdm import tqdm

from dyncore.cost import CostTable, cost_table
from dyncore.data import Batch, load_dataset
from dyncore.objectives import Objective
from dyncore.training._checkpoint import (
    Progress,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from dyncore.training._evaluation import Evaluation, evaluate, relaxation_gap
from dyncore.training._log import MetricsLog
from dyncore.training._optimizer import build_optimizer, scale_learning_rates
from dyncore.training._options import RunOptions
from dyncore.training._plan import PlannedPhase, plan_phases
from dyncore.training._random import draw_decisions, seed_modules
from dyncore.training._recipe import Recipe
from dyncore.training._run_folder import find_start, save_recipe
from dyncore.training._setup import build_loaders, build_model, check_trackers, fit
from dyncore.training._step import StepResult, TrainingStep, set_trainable

DISPLAY_EVERY = 10
"""Steps between updates of the progress bar, each of which waits for the device."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves behind."""

    folder: Path
    """The run's folder."""
    model: Path
    """Folder for ``dyncore.from_pretrained``."""
    evaluation: Evaluation
    """Of the final model on the test split."""
    seconds: float
    """Time that this process spent in training steps, without evaluations and checkpoints."""


def train(recipe: Recipe, options: RunOptions | None = None) -> TrainingResult:
    """Train, evaluate and save; the run's folder is ``<output>/<recipe name>``.

    It holds ``recipe.json``, ``metrics.jsonl``, ``checkpoints/``, ``evaluation.parquet`` and
    ``model/``. Raises ValueError for options that do not fit the recipe, the data or the run to
    resume, and FileExistsError if the folder holds a run and ``resume`` is off.
    """
    return Trainer(recipe, options or RunOptions()).run()


class Trainer:
    """One run of one recipe."""

    def __init__(self, recipe: Recipe, options: RunOptions) -> None:
        self.options = options
        self.folder = Path(options.output) / recipe.name
        self.accelerator = Accelerator(
            mixed_precision=options.precision,
            log_with=list(options.trackers) or None,
            project_dir=self.folder,
        )
        check_trackers(self.accelerator, options)
        self.dataset = load_dataset(options.data or recipe.dataset)
        self.recipe = fit(recipe, options, self.dataset)
        self.train_loader, self.test_loader = build_loaders(
            self.dataset, self.recipe, options, self.accelerator
        )
        self.phases = plan_phases(self.recipe, self.train_loader.steps_per_epoch)
        set_seed(options.seed)
        self.model = build_model(self.recipe, options, self.dataset)
        size = self.dataset.preprocessing.size
        self.table: CostTable = cost_table(self.model, (3, size, size))
        parts = {
            key: config.build(self.model, self.table)
            for key, config in self.recipe.objective.items()
        }
        self.objective = Objective(parts)
        self.step_module = TrainingStep(
            self.model, self.objective, self.table, self.dataset.preprocessing
        ).to(self.accelerator.device)

    def run(self) -> TrainingResult:
        resumed = self._prepare_folder()
        first = 0
        if resumed is not None:
            progress, tensors, _ = load_checkpoint(resumed)
            self.step_module.load_state_dict(tensors)
            first = progress.step
        self.accelerator.init_trackers("dyncore", config={"recipe": self.recipe.name})
        self.seconds = 0.0
        self.log = MetricsLog(
            self.folder / "metrics.jsonl",
            self.accelerator,
            resume_at=first,
            end=self.phases[-1].last,
        )
        for planned in self.phases:
            if first < planned.last:
                self._run_phase(planned, max(first, planned.first), resumed)
        end = self.phases[-1]
        self.step_module.anneal(end.temperature_factor(end.last - 1))  # as the last step left it
        evaluation = self._evaluate(end.last, final=True)
        model = self._save(evaluation)
        self.accelerator.end_training()
        return TrainingResult(self.folder, model, evaluation, self.seconds)

    def _run_phase(self, planned: PlannedPhase, first: int, resumed: Path | None) -> None:
        settings = self.recipe.optimizer
        trainable = set_trainable(self.step_module, planned.phase)
        optimizer = build_optimizer(self.model, trainable, settings)
        if resumed is not None and first > planned.first:
            optimizer.load_state_dict(load_checkpoint(resumed)[2])
        step_module, optimizer = self.accelerator.prepare(self.step_module, optimizer)
        active = planned.phase.objective
        names = None if active is None else frozenset(active)
        step = first
        for epoch, within, count in planned.epochs_from(first):
            batches = islice(self.train_loader.epoch(epoch, within), count)
            step_module.train()
            start = time.perf_counter()
            for batch in self._progress(batches, planned, epoch, count):
                factor = planned.learning_rate_factor(step)
                scale_learning_rates(optimizer, factor)
                self.step_module.anneal(planned.temperature_factor(step))
                noise, on = self._draw(planned, step)
                seed_modules(self.options.seed, step, self.accelerator.process_index)
                result = step_module(batch, noise, on, names)
                self.accelerator.backward(result.loss)
                optimizer.step()
                optimizer.zero_grad()
                self.objective.after_step(self.model)
                step += 1
                self._report(step, planned, result, factor * settings.learning_rate)
            self.seconds += time.perf_counter() - start
            done = epoch + 1
            if step == planned.last or done % self.options.evaluate_every == 0:
                if planned.phase.paths == "routed" and step < self.phases[-1].last:
                    self._evaluate(step, final=False)
                self._save_checkpoint(step, planned, optimizer)
        self.accelerator.unwrap_model(step_module, keep_fp32_wrapper=False)
        self.accelerator.free_memory()

    def _draw(
        self, planned: PlannedPhase, step: int
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Gate noise, or forced paths, for this process's share of the step's batch."""
        batch, processes = self.recipe.batch_size, self.accelerator.num_processes
        each = batch // processes
        share = slice(
            self.accelerator.process_index * each, (self.accelerator.process_index + 1) * each
        )
        return draw_decisions(
            self.model,
            planned.phase,
            seed=self.options.seed,
            step=step,
            batch=batch,
            share=share,
        )

    def _progress(
        self, batches: Iterator[Batch], planned: PlannedPhase, epoch: int, count: int
    ) -> Iterator[Batch]:
        epochs = -(-self.phases[-1].last // planned.steps_per_epoch)
        self.bar = tqdm(
            batches,
            total=count,
            desc=f"{planned.phase.name} {epoch + 1}/{epochs}",
            disable=not self.accelerator.is_main_process,
        )
        return iter(self.bar)

    def _report(self, step: int, planned: PlannedPhase, result: StepResult, rate: float) -> None:
        if step % DISPLAY_EVERY and step != planned.last:
            return
        tensors = {
            **result.terms,
            "loss": result.loss.detach(),
            "execution_rate": result.rate,
            "macs_ratio": result.macs_ratio,
        }
        shares = torch.stack([value.float() for value in tensors.values()])
        means = self.accelerator.reduce(shares, "mean").tolist()
        values = dict(zip(tensors, means, strict=True))
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
        self.log.write(
            step,
            {
                "phase": planned.phase.name,
                "epoch": step / planned.steps_per_epoch,
                "learning_rate": rate,
                **{f"train/{name}": value for name, value in values.items()},
            },
        )

    def _evaluate(self, step: int, *, final: bool) -> Evaluation:
        preprocessing = self.dataset.preprocessing
        evaluation = evaluate(
            self.model, self.test_loader.epoch(0), preprocessing, self.table, self.accelerator
        )
        first = next(self.test_loader.epoch(0))
        gap = relaxation_gap(self.model, first, preprocessing)
        metrics = evaluation.metrics() | gap
        self.log.write(
            step,
            {
                "epoch": step / self.train_loader.steps_per_epoch,
                **{f"test/{name}": value for name, value in metrics.items()},
                "test/block_rates": evaluation.block_rates,
            },
        )
        when = "end" if final else f"epoch {step / self.train_loader.steps_per_epoch:.3g}"
        self.accelerator.print(
            f"{self.recipe.name} at {when}: accuracy {evaluation.accuracy:.4f}, "
            f"execution rate {evaluation.execution_rate:.3f}, MACs ratio "
            f"{evaluation.macs_ratio:.3f}, {len(evaluation.path_counts)} distinct paths "
            f"(entropy {evaluation.path_entropy:.2f} bits), relaxed gap {gap['relaxed_gap']:.3f}"
        )
        return evaluation

    def _prepare_folder(self) -> Path | None:
        """Make the run's folder; the checkpoint to go on from, if there is one."""
        start = find_start(self.folder, self.recipe, self.options)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            save_recipe(self.folder, self.recipe, self.options)
        self.accelerator.wait_for_everyone()
        return start

    def _save_checkpoint(self, step: int, planned: PlannedPhase, optimizer: Optimizer) -> None:
        if self.accelerator.is_main_process:
            folder = self.folder / "checkpoints"
            save_checkpoint(
                folder,
                Progress(step=step, phase=planned.index, seed=self.options.seed),
                tensors=self.step_module.state_dict(),
                optimizer=optimizer.state_dict(),
            )
            prune_checkpoints(folder, self.options.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def _save(self, evaluation: Evaluation) -> Path:
        target = self.folder / "model"
        if self.accelerator.is_main_process:
            evaluation.save(self.folder / "evaluation.parquet")
            self.model.info = replace(self.model.info, metrics=evaluation.metrics())
            self.model.save_pretrained(target)
        self.accelerator.wait_for_everyone()
        return target
