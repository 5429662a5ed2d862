"""What every method must do, on tiny networks."""

import pytest

from dyn_spnet.recipes import RECIPES
from dyncore.testing import CHECKS, Case

CASES = [
    Case.of(RECIPES[name])
    for name in (
        "spnet-resnet20-digits-b0.6",
        "spnet-resnet50-imagenet-b0.8",
        "spnet-resnet110-cifar10-b0.93-evolution-blocks",
    )
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
