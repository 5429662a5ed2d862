"""What every method must do, on tiny networks."""

import pytest

from dyn_cdb.recipes import RECIPES
from dyncore.testing import CHECKS, Case

CASES = [
    Case.of(RECIPES[name])
    for name in (
        "cdb-resnet20-n2-cifar10-b0.6-short",
        "cdb-resnet50-n2-imagenet-b0.7-no-ca",
        "cdb-mobilenetv2-1.4-n2-imagenet-b0.7",
    )
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
