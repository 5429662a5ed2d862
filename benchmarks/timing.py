"""Timing, the same way in every benchmark."""

import torch
from torch.utils.benchmark import Timer


def median_seconds(statement: str, seconds: float, **names: object) -> float:
    """Median time of ``statement`` over ``seconds`` of runs, after a warm-up."""
    timer = Timer(statement, globals=names, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=seconds).median
