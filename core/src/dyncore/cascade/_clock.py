"""What members and cascades take on this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch
from torch import Tensor

ROUNDS = 5
SECONDS = 0.2
"""Of each round and subject, at least."""


@torch.no_grad()
def milliseconds(
    subjects: Mapping[str, Callable[[Tensor], object]], batches: Sequence[Tensor]
) -> dict[str, float]:
    """Median milliseconds per image, over rounds in which every subject takes its turn.

    A subject runs through all ``batches`` as often as it takes, so that a cascade is timed on
    images of every kind.
    """
    images = sum(map(len, batches))
    repeats = {}
    for name, run in subjects.items():
        _run(run, batches)  # warm
        repeats[name] = max(1, round(SECONDS / max(_run(run, batches), 1e-9)))
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, run in subjects.items():
            seconds = sum(_run(run, batches) for _ in range(repeats[name])) / repeats[name]
            taken[name].append(1000 * seconds / images)
    return {name: median(times) for name, times in taken.items()}


def _run(run: Callable[[Tensor], object], batches: Sequence[Tensor]) -> float:
    start = time.perf_counter()
    for batch in batches:
        run(batch)
    if batches[0].is_cuda:
        torch.cuda.synchronize(batches[0].device)
    return time.perf_counter() - start
