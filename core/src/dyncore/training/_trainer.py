"""From a recipe to a saved model."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from signal import Signals

from accelerate import Accelerator
from accelerate.utils import set_seed

from dyncore.cost import CostTable, cost_table
from dyncore.data import DataFileError, load_dataset
from dyncore.kernels import install_kernels
from dyncore.objectives import Objective
from dyncore.recipes import Recipe
from dyncore.training._about import About
from dyncore.training._checkpoint import (
    Checkpoint,
    Progress,
    checkpoint_path,
    prune_checkpoints,
    save_checkpoint,
    set_aside,
)
from dyncore.training._collapse import CollapseWatch
from dyncore.training._evaluating import evaluate, relaxation_gap
from dyncore.training._evaluation import Evaluation
from dyncore.training._fingerprint import fingerprint
from dyncore.training._guard import DivergedError, Position, StepGuard, check_state
from dyncore.training._heap import keep_freed_memory
from dyncore.training._log import MetricsLog
from dyncore.training._options import RunOptions
from dyncore.training._path_changes import PathChanges
from dyncore.training._plan import PlannedPhase, plan_phases
from dyncore.training._processes import (
    check_norms,
    check_processes,
    share_buffers,
    synchronise_norms,
)
from dyncore.training._recalibrate import recalibrate
from dyncore.training._reporter import Reporter
from dyncore.training._run_folder import (
    CHECKPOINTS,
    EVALUATION_FILE,
    METRICS_FILE,
    MODEL,
    check_free,
    find_start,
    forget_if_untrained,
    save_recipe,
)
from dyncore.training._setup import (
    as_trained,
    build_loaders,
    build_model,
    check_budgets,
    check_rates,
    check_start,
    check_trackers,
    fit,
)
from dyncore.training._signals import StopRequest, TrainingStopped
from dyncore.training._step import TrainingStep
from dyncore.training._storage import writing
from dyncore.training._update import Updater
from dyncore.weights import check_weights

DISPLAY_EVERY = 10
"""Steps between updates of the progress bar, each of which waits for the device."""

logger = logging.getLogger(__name__)


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
    """Train, evaluate and save; the run's folder is ``<output>/<name>``, else the recipe's name.

    It holds ``recipe.json``, ``metrics.jsonl``, ``checkpoints/``, ``evaluation.parquet`` and
    ``model/``. Raises, with the newest checkpoint left as it was:

    - ValueError for options that do not fit the recipe, the data or the run to resume;
    - FileExistsError if the folder holds a run and ``resume`` is 'never';
    - DivergedError for a loss, or weights, that are not finite;
    - StorageError for a file that cannot be written;
    - TrainingStopped after SIGINT or SIGTERM, when a checkpoint is saved.
    """
    return Trainer(recipe, options or RunOptions()).run()


class Trainer:
    """One run of one recipe."""

    def __init__(self, recipe: Recipe, options: RunOptions) -> None:
        check_start(recipe, options)
        if options.name is not None:
            recipe = replace(recipe, name=options.name)
        self.options = options
        self.folder = Path(options.output) / recipe.name
        self.accelerator = Accelerator(
            mixed_precision=options.precision,
            log_with=list(options.trackers) or None,
            project_dir=self.folder,
        )
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        check_trackers(self.accelerator, options)
        check_processes(self.accelerator, recipe, options)
        check_free(self.folder, options)
        if options.init is not None:
            check_weights(options.init)  # before images are decoded, which may take minutes
        self.dataset = load_dataset(
            options.data or recipe.dataset, skip_corrupt=options.skip_corrupt, size=options.size
        )
        self.dataset = as_trained(self.dataset, recipe)
        self.data = fingerprint(self.dataset)
        self.recipe = fit(recipe, options, self.dataset)
        self.train_loader, self.test_loader = build_loaders(
            self.dataset, self.recipe, options, self.accelerator
        )
        self.phases = plan_phases(self.recipe, self.train_loader.steps_per_epoch)
        set_seed(options.seed)
        self.model = build_model(self.recipe, options, self.dataset)
        check_rates(self.recipe, self.model)
        check_norms(self.model, self.accelerator, self.recipe, options)
        size = self.dataset.preprocessing.size
        self.table: CostTable = cost_table(
            self.model, (self.recipe.network.backbone.in_channels, size, size)
        )
        parts = {
            key: config.build(self.model, self.table)
            for key, config in self.recipe.objective.items()
        }
        objective = Objective(parts)
        check_budgets(self.recipe, objective)
        self.step_module = TrainingStep(
            self.model, objective, self.table, self.dataset.preprocessing
        ).to(self.accelerator.device)
        if options.sync_batch_norm:
            synchronise_norms(self.step_module)
        if options.kernels:
            install_kernels(self.step_module)
        self.model.detached = self.recipe.detached_routers
        self.collapse = CollapseWatch(self.table)
        self.guard = StepGuard(self.accelerator.device, self.accelerator.num_processes)

    def run(self) -> TrainingResult:
        with StopRequest(alone=self.accelerator.num_processes == 1) as self.stop:
            try:
                return self._run()
            except DataFileError:  # another call, without that image, is to find its folder free
                forget_if_untrained(self.folder)
                raise

    def _run(self) -> TrainingResult:
        resumed = self._prepare_folder()
        first = 0
        if resumed is not None:
            self.step_module.load_state_dict(resumed.tensors)
            first = resumed.progress.step
        self.changes = PathChanges(None if resumed is None else resumed.paths)
        self.accelerator.init_trackers("dyncore", config={"recipe": self.recipe.name})
        self.seconds = 0.0
        end = self.phases[-1]
        log = MetricsLog(
            self.folder / METRICS_FILE, self.accelerator, resume_at=first, end=end.last
        )
        self.reporter = Reporter(self.recipe.name, log, self.accelerator)
        for planned in self.phases:
            if first < planned.last:
                self._run_phase(planned, max(first, planned.first), resumed)
        self.step_module.anneal(end.temperature_factor(end.last - 1))  # as the last step left it
        if self.recipe.recalibrated:
            batches = islice(self.train_loader.epoch(0), self.recipe.recalibrated)
            recalibrate(self.model, batches, self.dataset.preprocessing)
        evaluation = self._evaluate(end.last, final=True)
        model = self._save(evaluation)
        self.accelerator.end_training()
        return TrainingResult(self.folder, model, evaluation, self.seconds)

    def _run_phase(self, planned: PlannedPhase, first: int, resumed: Checkpoint | None) -> None:
        updater = Updater(self.step_module, planned, self.recipe, self.options, self.accelerator)
        if resumed is not None and first > planned.first:
            updater.optimizer.load_state_dict(resumed.optimizer)
        if first == 0 and resumed is None:
            self._save_checkpoint(0, planned, updater)
        routed, end = planned.phase.paths == "routed", self.phases[-1].last
        frozen = bool(self.recipe.network.frozen)
        for epoch, within, count in planned.epochs_from(first):
            target = epoch * planned.steps_per_epoch + within + count
            step, stop = self._run_epoch(planned, updater, epoch, within, count)
            if routed and not frozen and count == planned.steps_per_epoch and step == target:
                self._warn_of_collapse(epoch)
            regular = target == planned.last or (epoch + 1) % self.options.evaluate_every == 0
            if step == target and regular:
                if routed and step < end:
                    self._evaluate(step, final=False)
                self._save_checkpoint(step, planned, updater)
            elif stop or self._is_due(step):
                self._save_checkpoint(step, planned, updater)
            if stop and step < end:
                self.accelerator.end_training()
                raise TrainingStopped(
                    f"{stop.name}: stopped after step {step} of {end}; {self.last_checkpoint} is "
                    "where --resume auto goes on",
                    stop,
                )
        updater.close()

    def _run_epoch(
        self, planned: PlannedPhase, updater: Updater, epoch: int, within: int, count: int
    ) -> tuple[int, Signals | None]:
        """Train through ``count`` batches of an epoch; the steps done in all, and why no more."""
        batches = islice(self.train_loader.epoch(epoch, within), count)
        epochs = -(-self.phases[-1].last // planned.steps_per_epoch)
        before = epoch * planned.steps_per_epoch
        last, stop = before + within + count, None
        updater.train()
        self.collapse.reset()
        start = time.perf_counter()
        bar = self.reporter.progress(batches, planned, f"{epoch + 1}/{epochs}", count)
        for step, batch in enumerate(bar, before + within):
            result = updater.backward(batch, step)
            position = Position(step, epoch, step - before, batch.index)
            with self._naming_the_last_checkpoint():
                stop = self.guard.see(position, result, self.stop.signal)
            updater.step()
            self.collapse.add(result.executed)
            done = step + 1
            if done % DISPLAY_EVERY == 0 or done == planned.last:
                rate = planned.learning_rate_factor(step) * self.recipe.optimizer.learning_rate
                self.reporter.training(done, planned, result, rate)
            if stop:
                last = done
                break
            if self._is_due(done) and done < last:
                self.seconds += time.perf_counter() - start
                self._save_checkpoint(done, planned, updater)
                start = time.perf_counter()
        self.seconds += time.perf_counter() - start
        return last, stop

    def _is_due(self, step: int) -> bool:
        return step % self.options.checkpoint_every == 0

    def _warn_of_collapse(self, epoch: int) -> None:
        mean = self.accelerator.reduce(self.collapse.mean, "mean")
        stuck = self.collapse.stuck(mean)
        if stuck and self.accelerator.is_main_process:
            logger.warning(
                "gates that decided the same for every image of epoch %d: %s",
                epoch + 1,
                ", ".join(stuck),
            )

    def _evaluate(self, step: int, *, final: bool) -> Evaluation:
        preprocessing = self.dataset.preprocessing
        share_buffers(self.model, self.accelerator)
        evaluation = evaluate(
            self.model,
            self.test_loader.epoch(0),
            preprocessing,
            self.table,
            self.accelerator,
            rates=self.phases[-1].phase.rates,
            about=About.of(self.model, self.dataset),
        )
        gap = relaxation_gap(self.model, next(self.test_loader.epoch(0)), preprocessing)
        epoch = step / self.train_loader.steps_per_epoch
        found = gap | self.changes.see(evaluation)
        self.reporter.evaluation(step, epoch, evaluation, found, final=final)
        return evaluation

    def _prepare_folder(self) -> Checkpoint | None:
        """Make the run's folder; the checkpoint to go on from, if there is one."""
        start = find_start(self.folder, self.recipe, self.options, self.data)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            goes_on = "an older one is used" if start.checkpoint else "the run begins again"
            for path, reason in start.damaged:
                logger.warning("%s is damaged (%s): %s", path, reason, goes_on)
                set_aside(path)
            save_recipe(self.folder, self.recipe, self.options)
        self.accelerator.wait_for_everyone()
        if start.checkpoint is not None:
            self.last_checkpoint = checkpoint_path(
                self.folder / CHECKPOINTS, start.checkpoint.progress.step
            )
        return start.checkpoint

    def _save_checkpoint(self, step: int, planned: PlannedPhase, updater: Updater) -> None:
        folder, tensors = self.folder / CHECKPOINTS, self.step_module.state_dict()
        with self._naming_the_last_checkpoint():
            self.guard.settle()
            check_state(tensors)
        self.last_checkpoint = checkpoint_path(folder, step)
        if self.accelerator.is_main_process:
            progress = Progress(
                step=step, phase=planned.index, seed=self.options.seed, data=self.data
            )
            optimizer = updater.optimizer.state_dict()
            checkpoint = Checkpoint(progress, tensors, optimizer, self.changes.paths)
            save_checkpoint(folder, checkpoint)
            prune_checkpoints(folder, self.options.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    @contextmanager
    def _naming_the_last_checkpoint(self) -> Iterator[None]:
        try:
            yield
        except DivergedError as error:
            raise DivergedError(
                f"{error}. {self.last_checkpoint} is from before; going on from there meets the "
                "same batch again, so look at those rows or lower --optimizer.learning-rate"
            ) from None

    def _save(self, evaluation: Evaluation) -> Path:
        target = self.folder / MODEL
        if self.accelerator.is_main_process:
            with writing(self.folder / EVALUATION_FILE):
                evaluation.save(self.folder / EVALUATION_FILE)
            self.model.info = replace(self.model.info, metrics=evaluation.metrics())
            with writing(target):
                self.model.save_pretrained(target)
        self.accelerator.wait_for_everyone()
        return target
