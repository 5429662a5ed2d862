"""All checks, for a test that is parametrised over them."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from dyncore.testing._case import Case
from dyncore.testing._dry_run import check_dry_run
from dyncore.testing._evaluation import check_batch_mates, check_determinism
from dyncore.testing._gradients import check_gradients
from dyncore.testing._precision import check_bf16
from dyncore.testing._processes import check_processes
from dyncore.testing._saving import check_saving
from dyncore.testing._skipping import check_engine, check_macs, check_skipping

Check: TypeAlias = Callable[[Case, Path], None]
"""Raises AssertionError if the case does not conform; the folder is empty and its own."""

CHECKS: tuple[Check, ...] = (
    check_gradients,
    check_determinism,
    check_batch_mates,
    check_skipping,
    check_engine,
    check_macs,
    check_saving,
    check_processes,
    check_bf16,
    check_dry_run,
)
