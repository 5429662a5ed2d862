"""What a run says while it trains: metrics, a bar on a terminal, elsewhere a line per epoch."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping

import torch
from accelerate import Accelerator
from tqdm import tqdm

from dyncore.data import Batch
from dyncore.training._decisions import decisions_picture, send_picture
from dyncore.training._evaluation import Evaluation
from dyncore.training._log import MetricsLog
from dyncore.training._plan import PlannedPhase
from dyncore.training._step import StepResult


class Reporter:
    """Tells people and files how far a run is; in all processes, because it averages over them."""

    def __init__(self, name: str, log: MetricsLog, accelerator: Accelerator) -> None:
        self._name = name
        self._log = log
        self._accelerator = accelerator
        self._latest = ""

    def progress(
        self, batches: Iterable[Batch], planned: PlannedPhase, title: str, count: int
    ) -> Iterator[Batch]:
        """The same batches, with a bar for ``count`` of them, or a line when they are through."""
        name, start = f"{planned.phase.name} {title}", time.perf_counter()
        self._latest = ""
        bar = sys.stderr.isatty() and self._accelerator.is_main_process
        with tqdm(batches, total=count, desc=name, disable=not bar) as self._bar:
            yield from self._bar
        if not bar:
            self._say(f"{name}: {self._latest}{time.perf_counter() - start:.1f} s")

    def _say(self, text: str) -> None:
        if self._accelerator.is_main_process:
            print(text, file=sys.stderr, flush=True)

    def training(
        self, step: int, planned: PlannedPhase, result: StepResult, learning_rate: float
    ) -> None:
        """Report the step that was the ``step``-th, counted from 1. Waits for the device."""
        tensors = {
            **result.terms,
            "loss": result.loss.detach(),
            "execution_rate": result.rate,
            "macs_ratio": result.macs_ratio,
        }
        shares = torch.stack([value.double() for value in tensors.values()])
        means = self._accelerator.reduce(shares, "mean").tolist()
        values = dict(zip(tensors, means, strict=True))
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
        self._latest = "".join(f"{name} {value:.3f}, " for name, value in values.items())
        self._log.write(
            step,
            {
                "phase": planned.phase.name,
                "epoch": step / planned.steps_per_epoch,
                "learning_rate": learning_rate,
                **{f"train/{name}": value for name, value in values.items()},
            },
        )

    def evaluation(
        self,
        step: int,
        epoch: float,
        evaluation: Evaluation,
        beside: Mapping[str, float],
        *,
        final: bool,
    ) -> None:
        """Report an evaluation after ``step`` steps, and what was found ``beside`` it.

        That is its :func:`relaxation_gap`, and :class:`PathChanges` from the second one on.
        """
        metrics = {**evaluation.metrics(), **beside}
        self._log.write(
            step,
            {
                "epoch": epoch,
                **{f"test/{name}": value for name, value in metrics.items()},
                "test/block_rates": evaluation.block_rates,
            },
        )
        if self._accelerator.trackers and evaluation.gated.any():
            send_picture(self._accelerator, "test/decisions", decisions_picture(evaluation), step)
        when = "end" if final else f"epoch {epoch:.3g}"
        self._accelerator.print(
            f"{self._name} at {when}: accuracy {evaluation.accuracy:.4f}, "
            f"execution rate {evaluation.execution_rate:.3f}, MACs ratio "
            f"{evaluation.macs_ratio:.3f}, {len(evaluation.path_counts)} distinct paths "
            f"(entropy {evaluation.path_entropy:.2f} bits), relaxed gap {beside['relaxed_gap']:.3f}"
        )
