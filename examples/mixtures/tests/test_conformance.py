"""What every recipe must do, on tiny networks."""

import pytest

from dyn_mixtures.recipes import RECIPES
from dyncore.testing import CHECKS, Case

CASES = [
    Case.of(RECIPES[name])
    for name in (
        "dmnn-resnet20-n2-digits-b0.6-relational",
        "dmnn-resnet20-n2-digits-b0.6-relational-slow-progress",
        "dmnn-resnet50-n2-imagenet-b0.7-relational-slow-progress",
    )
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
