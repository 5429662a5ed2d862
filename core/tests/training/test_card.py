"""What a run leaves in its model says how it was made."""

from dataclasses import replace

import dyncore
from dyncore.gating import config_to_dict
from dyncore.recipes import find_recipe
from dyncore.training import RunOptions, train


def test_a_trained_model_carries_its_recipe_and_data(tmp_path):
    recipe = find_recipe("vanilla-resnet20-digits-b0.6")
    backbone = replace(recipe.network.backbone, depths=(1, 1, 1), widths=(4, 4, 4))
    recipe = replace(recipe, network=replace(recipe.network, backbone=backbone))
    result = train(recipe, RunOptions(output=str(tmp_path), epochs=0.1))
    info = dyncore.from_pretrained(result.model).info
    assert info.dataset == "digits"
    assert info.recipe is not None
    assert info.recipe["name"] == recipe.name
    assert info.recipe["objective"] == config_to_dict(recipe)["objective"]
    assert str(tmp_path) not in (result.model / "config.json").read_text()
