"""Runs that take turns on the clock, and those whose decisions are remembered."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

import dyncore

if TYPE_CHECKING:
    from dyncore.training import Evaluation

ROUNDS = 3


class Dynamic:
    """One engine at one rate, or on forced paths; remembers the execution path of each run."""

    def __init__(
        self,
        engine: dyncore.Engine,
        batches: Sequence[Tensor],
        paths: Sequence[dyncore.ExecutionPath] | None = None,
    ) -> None:
        self.engine, self.forced = engine, paths is not None
        self.batches = itertools.cycle(zip(batches, paths or itertools.repeat(None), strict=False))
        self.paths: list[dyncore.ExecutionPath] = []

    def __call__(self) -> None:
        """Run the next batch."""
        images, path = next(self.batches)
        self.paths.append(self.engine(images, path=path).path)

    def forget(self) -> None:
        """The last run does not count."""
        self.paths.pop()

    def ratios(self, table: dyncore.CostTable) -> list[float]:
        """MACs ratio per run; routers count unless paths are forced."""
        unused = sum(block.router for block in table.blocks) if self.forced else 0
        macs = [float(table.macs(path).double().mean()) - unused for path in self.paths]
        return [table.ratio(value) for value in macs]


def replayed(
    evaluation: "Evaluation", paths_per_block: Sequence[int], batch: int, count: int
) -> list[dyncore.ExecutionPath]:
    """Paths of ``count`` batches of images, drawn from an evaluation."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(evaluation.path), (count, batch), generator=generator)
    table = torch.from_numpy(evaluation.path)
    return [dyncore.ExecutionPath.of(table[row], paths_per_block) for row in rows]


def in_turns(
    runs: dict[str, Callable[[], object]], seconds: float, device: torch.device
) -> dict[str, list[float]]:
    """Times of every run in ``ROUNDS`` bursts, taken in turns; a run ends when ``device`` is done.

    A burst begins with a pause, as threads of other engines may still be spinning, and, where it
    is to hold several runs, with one that does not count.
    """
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def timed(run: Callable[[], object]) -> float:
        start = time.perf_counter()
        run()
        wait()
        return time.perf_counter() - start

    def uncounted(run: Callable[[], object]) -> float:
        duration = timed(run)
        if isinstance(run, Dynamic):
            run.forget()
        return duration

    lasted = {name: uncounted(run) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            time.sleep(0.02)
            if 2 * lasted[name] < seconds / ROUNDS:
                uncounted(run)
            burst = 0.0
            while burst < seconds / ROUNDS:
                times[name].append(timed(run))
                burst += times[name][-1]
            lasted[name] = times[name][-1]  # the first run of all may have captured graphs
    return times


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
