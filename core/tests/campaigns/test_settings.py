"""Whether a recorded run is the one that is asked for."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from dyncore.campaigns import Entry
from dyncore.campaigns._settings import Settings, changes
from dyncore.gating import ContextRouterConfig, config_to_dict
from dyncore.objectives import CrossEntropyConfig
from dyncore.recipes import find_recipe
from dyncore.training import parse_arguments

RECIPE = "vanilla-resnet20-digits-b0.5"


def settings(*words: str) -> Settings:
    entry = Entry(name="run", recipe=RECIPE, options=words, seeds=(0,))
    return Settings.of(parse_arguments(RECIPE, words, prog="test"), entry)


def recorded(found: Settings) -> dict:
    return json.loads(json.dumps(config_to_dict(found)))


def test_the_same_settings_have_no_changes():
    assert list(changes(settings(), recorded(settings()))) == []
    words = ("--epochs", "7", "--precision", "bf16", "--objective.rate.target", "0.3")
    assert list(changes(settings(*words), recorded(settings(*words)))) == []


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["--optimizer.learning-rate", "0.3"], "recipe.optimizer.learning_rate = 0.3 (0.1)"),
        (["--objective.rate.target", "0.3"], "recipe.objective.rate.target = 0.3 (0.5)"),
        (["--epochs", "15"], "recipe.phases.0.epochs = 15.0 (30.0)"),
        (["--precision", "bf16"], "precision = 'bf16' ('no')"),
        (["--phases.0.name", "main"], "recipe.phases.0.name = 'main' ('train')"),
    ],
)
def test_a_change_is_named(words, change):
    assert list(changes(settings(*words), recorded(settings()))) == [change]


def test_other_parts_are_named():
    now = settings()
    network = replace(now.recipe.network, router=ContextRouterConfig())
    found = list(changes(replace(now, recipe=replace(now.recipe, network=network)), recorded(now)))
    assert found == ["recipe.network.router = 'context' ('short-range')"]
    objective = {"classification": CrossEntropyConfig()}
    (found,) = changes(replace(now, recipe=replace(now.recipe, objective=objective)), recorded(now))
    assert found.startswith("recipe.objective = {'classification': CrossEntropyConfig(")


def test_names_and_sources_are_not_compared():
    now, other = settings(), find_recipe(RECIPE)
    source = replace(other.source, place="elsewhere")
    other = replace(other, name="other", source=source)
    assert list(changes(replace(now, recipe=other), recorded(now))) == []


@dataclass(frozen=True)
class Before:
    rate: float = 0.1


@dataclass(frozen=True)
class After(Before):
    decay: float = 0.0


@dataclass(frozen=True)
class Grown(After):
    """What it always did has become a field whose default is something else."""

    when_absent: ClassVar[dict[str, float]] = {"decay": 0.3}


def test_a_field_that_came_later_had_its_default():
    then = config_to_dict(Before())
    assert list(changes(After(), then)) == []
    assert list(changes(After(decay=0.5), then)) == ["decay = 0.5 (not recorded)"]
    assert list(changes(Grown(decay=0.3), then)) == []
    assert list(changes(Grown(), then)) == ["decay = 0.0 (not recorded)"]
    assert list(changes(Before(), config_to_dict(After()), "optimizer")) == [
        "optimizer has no decay any more"
    ]
