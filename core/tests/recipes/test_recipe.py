"""A recipe's own arithmetic and checks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.recipes import SGD, Constant, Cosine, Phase, Steps, find_recipe

PHASES = (
    Phase(name="warm-up", epochs=30.0, paths="uniform", objective=("classification",)),
    Phase(name="steps", epochs=320.0, schedule=Steps(milestones=(150.0, 250.0), gamma=0.2)),
    Phase(name="cosine", epochs=50.0, schedule=Cosine()),
)


@pytest.fixture(scope="module")
def recipe():
    return replace(find_recipe("vanilla-resnet20-digits-b0.5"), phases=PHASES)


def test_with_epochs_scales_phases_and_milestones(recipe):
    short = recipe.with_epochs(40.0)
    assert short.phases == (
        Phase(name="warm-up", epochs=3.0, paths="uniform", objective=("classification",)),
        Phase(name="steps", epochs=32.0, schedule=Steps(milestones=(15.0, 25.0), gamma=0.2)),
        Phase(name="cosine", epochs=5.0, schedule=Cosine()),
    )
    assert replace(short, phases=PHASES) == recipe  # nothing else has changed


@given(st.floats(0.01, 2000))
def test_with_epochs_keeps_proportions(epochs):
    recipe = replace(find_recipe("vanilla-resnet20-digits-b0.5"), phases=PHASES)
    scaled = recipe.with_epochs(epochs)
    assert scaled.epochs == pytest.approx(epochs)
    for before, after in zip(PHASES, scaled.phases, strict=True):
        assert after.epochs / epochs == pytest.approx(before.epochs / 400)
        for share in (0.0, 0.3, 0.5, 0.9):
            old = before.schedule.factor(share * before.epochs, before.epochs)
            new = after.schedule.factor(share * after.epochs, after.epochs)
            assert new == pytest.approx(old)


@pytest.mark.parametrize("epochs", [0.0, -1.0, float("nan"), float("inf")])
def test_a_length_must_be_a_positive_number(recipe, epochs):
    for make in (
        lambda: recipe.with_epochs(epochs),
        lambda: Phase(name="train", epochs=epochs),
    ):
        with pytest.raises(ValueError, match=f"epochs must be positive, not {epochs}"):
            make()


def test_phases_may_only_name_parts_of_the_objective(recipe):
    phase = Phase(name="warm-up", epochs=1.0, objective=("classification", "rank"))
    with pytest.raises(ValueError, match=r"'warm-up' .*\['rank'\].*\['classification', 'rate'\]"):
        replace(recipe, phases=(phase,))
    with pytest.raises(ValueError, match="objective must name at least one part"):
        Phase(name="train", epochs=1.0, objective=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"phases": ()}, "phases must name at least one phase"),
        ({"objective": {}}, "objective must have at least one part"),
    ],
)
def test_bad_recipes_are_refused(recipe, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(recipe, **changes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be positive, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, not nan"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), not 1.0"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative, not -0.1"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs a momentum above 0"),
    ],
)
def test_bad_optimiser_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SGD(**settings)


def test_default_schedule_is_constant():
    assert Phase(name="train", epochs=1.0).schedule == Constant()
