"""Every step of a run belongs to one phase and one epoch."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.recipes import Annealing, Cosine, Phase, Steps, find_recipe
from dyncore.training._plan import plan_phases

lengths = st.lists(st.floats(0.001, 9), min_size=1, max_size=4)
steps_per_epoch = st.integers(1, 40)


def plan(epochs: list[float], steps_per_epoch: int):
    phases = tuple(Phase(name=f"phase {i}", epochs=length) for i, length in enumerate(epochs))
    recipe = replace(find_recipe("static-resnet20-digits"), phases=phases)
    return plan_phases(recipe, steps_per_epoch)


@given(lengths, steps_per_epoch)
def test_phases_follow_one_another(epochs, per_epoch):
    planned = plan(epochs, per_epoch)
    assert [phase.first for phase in planned] == [0, *(phase.last for phase in planned[:-1])]
    for index, (phase, length) in enumerate(zip(planned, epochs, strict=True)):
        assert phase.index == index
        steps = phase.last - phase.first
        assert steps >= 1
        assert steps == 1 or abs(steps - length * per_epoch) <= 0.5


@given(lengths, steps_per_epoch, st.data())
def test_epochs_cover_what_is_left_exactly_once(epochs, per_epoch, data):
    planned = plan(epochs, per_epoch)
    start = data.draw(st.integers(0, planned[-1].last))
    covered = []
    for phase in planned:
        for epoch, within, count in phase.epochs_from(max(start, phase.first)):
            assert 0 <= within < within + count <= per_epoch
            covered += [epoch * per_epoch + within + step for step in range(count)]
    assert covered == list(range(start, planned[-1].last))


def test_schedules_count_from_the_start_of_their_phase():
    phases = (
        Phase(name="warm-up", epochs=1.5),
        Phase(name="steps", epochs=1.0, schedule=Steps(milestones=(0.5,))),
        Phase(name="cosine", epochs=2.0, schedule=Cosine()),
    )
    recipe = replace(find_recipe("static-resnet20-digits"), phases=phases)
    warm_up, steps, cosine = plan_phases(recipe, 4)
    assert [warm_up.learning_rate_factor(step) for step in range(6)] == [1.0] * 6
    assert [steps.learning_rate_factor(step) for step in range(6, 10)] == [1.0, 1.0, 0.1, 0.1]
    assert cosine.learning_rate_factor(10) == 1.0
    assert cosine.learning_rate_factor(14) == pytest.approx(0.5)


def test_temperature_is_annealed_over_the_steps_of_its_phase():
    phases = (
        Phase(name="warm-up", epochs=1.5),
        Phase(name="train", epochs=2.0, annealing=Annealing(start=4.0, end=1.0, until=0.5)),
    )
    recipe = replace(find_recipe("static-resnet20-digits"), phases=phases)
    warm_up, train = plan_phases(recipe, 2)
    assert [warm_up.temperature_factor(step) for step in range(3)] == [1.0] * 3
    assert [train.temperature_factor(step) for step in range(3, 7)] == [4.0, 2.0, 1.0, 1.0]
