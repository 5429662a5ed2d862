"""Parts that options leave out, or bring back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.recipes import Annealing, find_recipe, with_settings
from dyncore.training import parse_arguments
from dyncore.training._left_out import with_parts

TUNED, PLAIN = "vanilla-resnet110-cifar10-b0.6-tuned", "vanilla-resnet110-cifar10-b0.6"


def parsed(recipe: str, *options: str):
    return parse_arguments(recipe, options, prog="dyn").recipe


@pytest.mark.parametrize(
    "options", [["--phases.0.annealing", "None"], ["--phases.0.annealing=None"]]
)
def test_none_leaves_a_part_out(options):
    recipe = parsed(TUNED, *options)
    assert recipe == with_settings(find_recipe(TUNED), {"phases.0.annealing": None})


def test_a_field_of_a_part_that_is_not_there_brings_it():
    recipe = parsed(PLAIN, "--phases.0.annealing.start", "4", "--batch-size", "32")
    assert recipe.phases[0].annealing == Annealing(start=4.0)
    assert recipe.batch_size == 32


def test_a_part_of_the_objective_is_left_out_by_its_key():
    recipe = parsed(PLAIN, "--objective.rate", "None", "--optimizer.learning-rate", "0.05")
    assert recipe.objective.keys() == {"classification"}
    assert recipe.optimizer.learning_rate == 0.05


def test_none_of_a_plain_field_is_none():
    assert parsed(TUNED, "--optimizer.router-learning-rate", "None") == with_settings(
        find_recipe(TUNED), {"optimizer.router_learning_rate": None}
    )
    assert parsed(TUNED, "--network.gate.initial-biases", "None").network.gate == (
        find_recipe(PLAIN).network.gate
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--batch-size", "None"],
        ["--phases.0.schedule", "None"],
        ["--phases.7.annealing", "None"],
        ["--objective.rank", "None"],
    ],
)
def test_what_cannot_be_left_out_is_refused(options, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(PLAIN, *options)
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_an_optimizer_stays():
    with pytest.raises(ValueError, match="write --optimizer 'AdamW"):
        parsed(PLAIN, "--optimizer", "None")


def test_the_only_part_of_an_objective_stays():
    with pytest.raises(ValueError, match="objective must have at least one part"):
        parsed("static-resnet20-digits", "--objective.classification", "None")


@given(
    st.lists(st.sampled_from(["--a", "None", "--a.b=None", "x", "--batch-size", "8", "--", "-h"]))
)
def test_other_options_pass_through_in_order(options):
    recipe = find_recipe(PLAIN)
    assert with_parts(recipe, options) == (recipe, options)
