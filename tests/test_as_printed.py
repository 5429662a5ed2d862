"""Campaigns that ask whether the print trains go from it to all changes, one at a time."""

from pathlib import Path

import pytest

from dyncore.campaigns import Campaign
from dyncore.recipes import find_print
from dyncore.training import parse_arguments

CAMPAIGNS = Path(__file__).parents[1] / "benchmarks" / "campaigns"
SIZES = {"network.router.dim"}
"""Routers are narrower on 8×8 images."""


@pytest.fixture(scope="module", params=["as_printed_digits", "as_printed_cifar10"])
def differences(request) -> dict[str, set[str]]:
    """What each entry trains otherwise than the print."""
    campaign = Campaign.load(CAMPAIGNS / f"{request.param}.toml")
    found = {}
    for name, entry in campaign.entries.items():
        recipe = parse_arguments(entry.recipe, entry.options, prog="dyn").recipe
        rows = find_print(recipe.name).compare(recipe)
        changed = {row.option for row in rows if row.origin in ("changed", "nowhere")}
        found[name] = changed - SIZES
    return found


@pytest.mark.parametrize("method", ["vanilla", "rdinet", "spnet", "cdb", "dmnn"])
def test_single_changes_make_up_all_that_was_tried(differences, method):
    own = {name: found for name, found in differences.items() if name.startswith(f"{method}-")}
    assert own.pop(f"{method}-printed") == set()
    ours, tried = own.pop(f"{method}-ours"), own.pop(f"{method}-all")
    single = [found for name, found in own.items() if f"{method}-printed-" not in name]
    if not any(found <= ours for found in single):
        single.append(ours)  # what we keep is one change
    assert len(single) >= 3
    assert all(single)
    assert set.union(*single) == tried
    assert sum(map(len, single)) == len(tried)  # none of them stands in two
    assert ours < tried
