"""The campaigns of this repository are files that can be run."""

from pathlib import Path

import pytest
import torch

from dyncore.campaigns import Campaign, Workplace
from dyncore.network import DynamicNetwork
from dyncore.training import parse_arguments

FILES = sorted((Path(__file__).parents[1] / "benchmarks" / "campaigns").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_is_a_recipe_and_its_network(file, tmp_path):
    campaign = Campaign.load(file)
    for entry in campaign.entries.values():
        recipe = parse_arguments(entry.recipe, entry.options, prog=entry.name).recipe
        with torch.device("meta"):
            network = DynamicNetwork(recipe.network)
        assert (entry.teacher is None) == ("teacher" not in recipe.objective)
        if entry.rates_of is not None:
            donor = campaign.entries[entry.rates_of]
            other = parse_arguments(donor.recipe, donor.options, prog=donor.name).recipe
            with torch.device("meta"):
                paths = DynamicNetwork(other.network).paths_per_block
            assert network.paths_per_block == paths
    results = file.with_suffix("")
    place = Workplace(
        file=file, campaign=campaign, data=None, output=tmp_path, results=results, models={}
    )
    names = {place.result_file(run).name for run in campaign.runs}
    assert {kept.name for kept in results.glob("*")} <= names
