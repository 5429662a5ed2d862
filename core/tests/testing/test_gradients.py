"""Gradients are judged beside their neighbours': rounding is no gradient."""

from dataclasses import replace

import pytest

from dyncore.recipes import find_recipe
from dyncore.testing import Case, check_gradients

CASE = Case.of(find_recipe("vanilla-resnet20-digits-b0.6"))


def test_a_bias_that_the_norm_takes_away_is_named(tmp_path):
    """It gets a gradient: of rounding."""
    router = replace(CASE.network.router, bias_before_norm=True)
    dead = replace(CASE, network=replace(CASE.network, router=router))
    with pytest.raises(AssertionError, match=r"gradient is zero .* model\.routers\.0\.align\.bias"):
        check_gradients(dead, tmp_path)


@pytest.mark.parametrize("norm", [True, False])
def test_without_it_every_parameter_learns(tmp_path, norm):
    network = replace(CASE.network, router=replace(CASE.network.router, norm=norm))
    check_gradients(replace(CASE, network=network), tmp_path)
