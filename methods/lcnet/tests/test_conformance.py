"""What every method must do, on tiny networks."""

import pytest

from dyn_lcnet.recipes import RECIPES
from dyncore.testing import CHECKS, Case

CASES = [
    Case.of(RECIPES[name])
    for name in (
        "lcnet-resnet18-cifar10",
        "lcnet-resnet18-cifar10-l-only",
        "lcnet-resnet18-cifar10-pretrained-c-only",
        "lcnet-resnet50-imagenet",
        "lcnet-resnet20-digits-b0.6",
    )
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
