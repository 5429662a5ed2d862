"""Learning-rate factors at points worked out by hand."""

import pytest

from dyncore.recipes import Annealing, Constant, Cosine, Steps


def test_constant():
    assert [Constant().factor(epoch, 10.0) for epoch in (0.0, 5.0, 9.9)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0.0, 1.0), (2.5, 0.8535534), (5.0, 0.5), (7.5, 0.1464466), (10.0, 0.0)]
)
def test_cosine(epoch, factor):
    assert Cosine().factor(epoch, 10.0) == pytest.approx(factor, abs=1e-7)
    assert Cosine().scaled(0.5).factor(epoch / 2, 5.0) == pytest.approx(factor, abs=1e-7)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0.0, 1.0), (3.99, 1.0), (4.0, 0.5), (5.99, 0.5), (6.0, 0.25), (9.0, 0.25)],
)
def test_steps_fall_at_each_milestone(epoch, factor):
    schedule = Steps(milestones=(4.0, 6.0), gamma=0.5)
    assert schedule.factor(epoch, 10.0) == factor
    assert schedule.scaled(3.0).factor(3 * epoch, 30.0) == factor


def test_scaling_moves_milestones_and_keeps_gamma():
    scaled = Steps(milestones=(150.0, 250.0), gamma=0.2).scaled(0.1)
    assert scaled == Steps(milestones=(15.0, 25.0), gamma=0.2)


@pytest.mark.parametrize("milestones", [(), (0.0,), (-1.0, 2.0), (5.0, 3.0), (2.0, 2.0)])
def test_bad_milestones_are_refused(milestones):
    with pytest.raises(ValueError, match="milestones must be positive and ascending, not"):
        Steps(milestones=milestones)


@pytest.mark.parametrize("gamma", [0.0, 1.0, -0.1, float("nan")])
def test_bad_gamma_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma must be between 0 and 1, not"):
        Steps(milestones=(1.0,), gamma=gamma)


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 8.0), (0.25, 4.0), (0.5, 2.0), (0.75, 2.0), (1.0, 2.0)]
)
def test_temperature_falls_by_equal_ratios_and_stays(progress, factor):
    assert Annealing(start=8.0, end=2.0, until=0.5).factor(progress) == pytest.approx(factor)


@pytest.mark.parametrize("field", ["start", "end", "until"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_annealing_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} must be positive, not {value}"):
        Annealing(**{field: value})


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 1.0), (0.4, 1.0), (0.5, 0.75), (0.7, 0.25), (0.8, 0), (1.0, 0)]
)
def test_noise_fades_in_a_straight_line_and_stays_away(progress, factor):
    assert Annealing(until=0.8, fade=0.4).noise(progress) == pytest.approx(factor)
    assert Annealing(until=0.8).noise(progress) == 1.0


@pytest.mark.parametrize("fade", [-0.1, 0.8, 0.9, float("nan")])
def test_noise_that_would_fade_after_the_end_is_refused(fade):
    with pytest.raises(ValueError, match=f"fade must be .* below until = 0.8, not {fade}"):
        Annealing(until=0.8, fade=fade)
