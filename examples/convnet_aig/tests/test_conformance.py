"""What every method must do, on tiny networks."""

import pytest

from dyncore.recipes import find_recipe
from dyncore.testing import CHECKS, Case


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check, tmp_path):
    check(Case.of(find_recipe("aig-resnet20-digits-b0.7")), tmp_path)
