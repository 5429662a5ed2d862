"""The conformance suite: what every method must do, checked on a tiny network of yours.

A method package runs it in a few lines of its own tests::

    CASES = [Case.of(recipe) for recipe in ...]

    @pytest.mark.parametrize("check", CHECKS)
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_conformance(case, check, tmp_path):
        check(case, tmp_path)

A check returns nothing, or raises AssertionError that says what was found and what to look at.
"""

from dyncore.testing._case import Case
from dyncore.testing._checks import CHECKS, Check
from dyncore.testing._dry_run import check_dry_run
from dyncore.testing._evaluation import check_batch_mates, check_determinism
from dyncore.testing._gradients import check_gradients
from dyncore.testing._precision import check_bf16
from dyncore.testing._processes import check_processes
from dyncore.testing._saving import check_saving
from dyncore.testing._skipping import check_engine, check_macs, check_skipping

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "check_batch_mates",
    "check_bf16",
    "check_determinism",
    "check_dry_run",
    "check_engine",
    "check_gradients",
    "check_macs",
    "check_processes",
    "check_saving",
    "check_skipping",
]
