"""What every method must do, on tiny networks."""

import pytest

from dyn_dmnn.recipes import RECIPES
from dyncore.testing import CHECKS, Case

CASES = [
    Case.of(RECIPES[name])
    for name in (
        "dmnn-resnet20-n2-digits-b0.6",
        "dmnn-resnet50-n3-imagenet-b0.7",
        "dmnn-mobilenetv2-n2-imagenet-b0.7",
        "dmnn-resnet50-n2-imagenet-b0.7-no-prev-no-cat",
    )
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case, check, tmp_path):
    check(case, tmp_path)
