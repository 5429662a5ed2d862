"""Two processes train as one."""

import functools
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from dyncore.testing._build import BATCH, run_step, training_step, vary
from dyncore.testing._case import Case
from dyncore.testing._compare import expect_close
from dyncore.training import set_trainable

PROCESSES = 2
TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True)
class _Gradients:
    """What one process computes; arrays, because they travel between processes."""

    terms: dict[str, np.ndarray]
    parameters: dict[str, np.ndarray]


def check_processes(case: Case, folder: Path) -> None:
    """The loss terms and gradients of a global batch do not depend on the number of processes.

    As data-parallel training does, gradients are averaged over the processes. Norms use their
    running statistics, because those of a batch are each process's own. The processes are
    started once and serve later checks.
    """
    for phase in range(len(case.phases)):
        whole = _gradients(case, phase, slice(0, BATCH))
        shares = _in_processes(case, phase, folder / f"store-{phase}")
        where = f"{case}, phase {case.phases[phase].name!r}, {PROCESSES} processes and one"
        hint = "(a term over the batch must use dyncore.cost.global_mean or global_batch)"
        for name, expected in whole.terms.items():
            _expect_mean([s.terms[name] for s in shares], expected, f"{where}: {name!r} {hint}")
        for name, expected in whole.parameters.items():
            found = [share.parameters[name] for share in shares]
            _expect_mean(found, expected, f"{where}: gradient of {name} {hint}")


def _expect_mean(found: list[np.ndarray], expected: np.ndarray, what: str) -> None:
    expect_close(
        torch.from_numpy(np.asarray(np.mean(found, axis=0))), torch.from_numpy(expected), what
    )


def _gradients(case: Case, phase_index: int, share: slice) -> _Gradients:
    """One training step, without the optimiser, on some images of the global batch."""
    phase = case.phases[phase_index]
    step = training_step(case, torch.float64)
    for module in step.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout)):
            module.eval()
    vary(step.model, case)
    set_trainable(step, phase)
    result = run_step(step, case, phase, seed=0, share=share)
    result.loss.backward()
    return _Gradients(
        {name: np.asarray(term) for name, term in result.terms.items()},
        {name: _gradient(parameter) for name, parameter in step.named_parameters()},
    )


def _gradient(parameter: nn.Parameter) -> np.ndarray:
    return np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()


def _in_processes(case: Case, phase: int, store: Path) -> list[_Gradients]:
    pickled = pickle.dumps(case)
    jobs = [
        worker.submit(_gradients_of_rank, pickled, phase, rank, str(store))
        for rank, worker in enumerate(_workers(tuple(sys.path)))
    ]
    return [job.result() for job in jobs]


def _gradients_of_rank(pickled: bytes, phase: int, rank: int, store: str) -> _Gradients:
    case = pickle.loads(pickled)  # here, where a class that cannot be imported is only an error
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=PROCESSES,
        timeout=TIMEOUT,
    )
    try:
        share = BATCH // PROCESSES
        return _gradients(case, phase, slice(rank * share, (rank + 1) * share))
    finally:
        dist.destroy_process_group()


@functools.lru_cache(maxsize=1)
def _workers(path: tuple[str, ...]) -> tuple[ProcessPoolExecutor, ...]:
    """One process per rank, kept until `path` changes: starting one takes seconds.

    They import from this process's ``sys.path`` as it is when they start.
    """
    context = multiprocessing.get_context("spawn")
    return tuple(
        ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) for _ in range(PROCESSES)
    )
