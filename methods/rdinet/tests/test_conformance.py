"""What every method must do, on tiny networks."""

import pytest

from dyn_rdinet.recipes import RECIPES
from dyncore.testing import CHECKS, Case

CASES = [
    Case.of(RECIPES[name])
    for name in (
        "rdinet-resnet20-digits-b0.6",
        "rdinet-resnet50-imagenet-b0.6",
        "rdinet-resnet110-cifar10-b0.54-rr-auto",
        "rdinet-resnet110-cifar10-b0.58-rr-r1",
    )
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
