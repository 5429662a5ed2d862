"""What stands beside a routed network: its frozen subnet, and random paths at its rates."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.campaigns import Result
from dyncore.campaigns._beside import as_subnet, at_random, most_run
from dyncore.recipes import find_recipe


def result(rates: list[float], macs: list[int], gated: list[bool], routers: int = 0) -> Result:
    """Of a network whose blocks have one path each."""
    always = 1000 + routers + sum(m for m, g in zip(macs, gated, strict=True) if not g)
    spent = sum(r * m for r, m, g in zip(rates, macs, gated, strict=True) if g)
    return Result(
        campaign="c",
        run="r",
        seed=0,
        recipe_name="vanilla",
        options=[],
        init=None,
        settings={},
        versions={},
        commit=None,
        machine={},
        finished="",
        seconds=1.0,
        sittings=1,
        curve=[],
        metrics={},
        paths={"block": [*range(len(rates))], "gated": gated, "rate": rates, "macs": macs},
        macs={
            "mean": always + spent,
            "static": 1000 + sum(macs),
            "always": always,
            "routers": routers,
        },
    )


def test_the_most_run_paths_at_equal_cost():
    rates, macs, gated = [0.9, 0.1, 0.6, 1.0], [10, 10, 10, 5], [True, True, True, False]
    assert most_run(result(rates, macs, gated)) == (True, False, True, True)
    assert most_run(result(rates, macs, gated, routers=20)) == (True, True, True, True)
    assert most_run(result([0.0] * 4, macs, gated)) == (False, False, False, True)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 100)), min_size=1, max_size=8))
def test_no_path_more_or_less_comes_nearer(paths):
    rates, macs = map(list, zip(*paths, strict=True))
    found = result(rates, macs, [True] * len(rates))
    kept = most_run(found)
    budget = found.macs["mean"] - found.macs["always"]
    order = sorted(range(len(rates)), key=lambda n: -rates[n])
    count = sum(kept)
    assert {n for n, there in enumerate(kept) if there} == {*order[:count]}

    def off(number: int) -> float:
        return abs(budget - sum(macs[n] for n in order[:number]))

    if count:
        assert off(count) < off(count - 1)
    if count < len(order):
        assert off(count) <= off(count + 1)


def test_a_subnet_is_a_static_network():
    found = result([0.9, 0.1, 0.6], [10, 10, 10], [True] * 3)
    recipe = as_subnet(find_recipe("static-resnet20-digits"), found)
    assert recipe.network.frozen == (True, False, True)
    with pytest.raises(ValueError, match="a frozen subnet is a static network's"):
        as_subnet(find_recipe("vanilla-resnet20-digits-b0.5"), found)


def test_random_paths_have_the_rates_in_every_phase():
    recipe = find_recipe("vanilla-resnet20-digits-b0.5+random-first")
    found = at_random(recipe, result([0.9, 0.1], [10, 10], [True, True]))
    assert [phase.rates for phase in found.phases] == [(0.9, 0.1)] * 2
    assert {phase.paths for phase in found.phases} == {"uniform"}
    assert replace(found, phases=recipe.phases) == recipe
