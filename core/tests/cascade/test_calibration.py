"""Thresholds against trying every one of them, and promises against images not seen."""

import itertools
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore.cascade import Cascade
from dyncore.cascade._calibration import wilson
from dyncore.cascade._front import ALL_GO_ON, front
from dyncore.cascade._outcomes import Outcomes
from dyncore.cascade._temperature import fit_temperature
from dyncore.data import Batch, sketch

from .conftest import CLASSES, COSTS


@st.composite
def small_outcomes(draw, members):
    """Few images, few different confidences (many are equal), few different costs."""
    images = draw(st.integers(1, 7))

    def table(rows, values):
        cells = st.lists(st.sampled_from(values), min_size=images, max_size=images)
        return np.array([draw(cells) for _ in range(rows)])

    return Outcomes(
        right=table(members, [True, False]),
        confidence=table(members - 1, [0.0, 0.25, 0.5, 0.5000001, 1.0]).astype(np.float64),
        cost=table(members, [1.0, 2.0, 5.0]),
    )


def every_setting(found):
    """(cost, accuracy) of every threshold that tells images apart."""
    candidates = [sorted({0.0, ALL_GO_ON, *row.tolist()}) for row in found.confidence]
    for thresholds in itertools.product(*candidates):
        right = cost = 0.0
        for image in range(found.right.shape[1]):
            member = 0
            cost += found.cost[0, image]
            while member < len(thresholds) and found.confidence[member, image] < thresholds[member]:
                member += 1
                cost += found.cost[member, image]
            right += found.right[member, image]
        yield cost / found.right.shape[1], right / found.right.shape[1]


@pytest.mark.parametrize("members", [2, 3])
@given(data=st.data())
def test_the_front_is_what_trying_everything_finds(members, data):
    found = data.draw(small_outcomes(members))
    settings = list(every_setting(found))
    best = front(found)
    for budget in sorted({cost for cost, _ in settings}):
        expected = max(accuracy for cost, accuracy in settings if cost <= budget + 1e-9)
        index = best.within(budget)
        assert best.accuracy[index] == pytest.approx(expected)
        assert best.cost[index] <= budget + 1e-9
        right, cost = found.result([float(t) for t in best.thresholds[index]])
        assert right.mean() == pytest.approx(expected)
        assert cost.mean() == pytest.approx(best.cost[index])
    for accuracy in {accuracy for _, accuracy in settings}:
        cheapest = min(cost for cost, reached in settings if reached >= accuracy - 1e-9)
        assert best.cost[best.reaching(accuracy)] == pytest.approx(cheapest)


def test_more_members_than_can_be_searched_are_refused():
    found = Outcomes(np.ones((4, 3), bool), np.ones((3, 3)), np.ones((4, 3)))
    with pytest.raises(ValueError, match="two or three members, not 4"):
        front(found)


def test_a_temperature_is_found_again():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20000, 5, generator=generator)
    for temperature in (0.5, 1.0, 2.5):
        probabilities = (logits / temperature).softmax(1)
        labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_wilsons_interval():
    """Against the roots of (p - q)² = z² q (1 - q) / n, which define it."""
    for share, images in ((0.0, 10), (0.3, 50), (0.97, 1000)):
        z = 1.96
        a, b, c = 1 + z * z / images, -(2 * share + z * z / images), share * share
        roots = sorted(np.roots([a, b, c]).real)
        assert wilson(share, images) == pytest.approx(roots, abs=1e-9)


def halves(labelled):
    images, labels = labelled
    return [(images[i::2], labels[i::2]) for i in range(2)]


def run(cascade, images, labels):
    output = cascade(images)
    return (output.logits.argmax(1) == labels).float().mean().item(), output.macs.float().mean()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("budget", [0.3, 0.5, 0.8])
def test_a_budget_holds_on_images_not_seen(members, labelled, count, budget):
    asked = [members[0], members[2]] if count == 2 else members
    cascade = Cascade(asked)
    for seen, unseen in itertools.permutations(halves(labelled)):
        batches = list(zip(seen[0].split(300), seen[1].split(300), strict=True))
        found = cascade.calibrate(batches, budget=budget)
        assert found.images == 2000
        accuracy, cost = run(cascade, *seen)
        assert accuracy == pytest.approx(found.chosen.accuracy, abs=1e-3)
        assert cost == pytest.approx(found.chosen.cost, rel=2e-3)
        assert cost <= budget * COSTS[2] * 1.002
        accuracy, cost = run(cascade, *unseen)
        assert cost == pytest.approx(found.chosen.cost, rel=1.5 * found.tolerance)
        low, high = found.interval
        assert low - 0.02 < accuracy < high + 0.02
        assert found.interval == wilson(found.expected_accuracy, 2000)
        assert str(found.images) in str(found)


def test_an_accuracy_is_reached_at_the_least_cost(members, labelled):
    cascade = Cascade(members[::2])
    free = cascade.calibrate([labelled], budget=1.0).chosen
    aim = (free.accuracy + cascade.calibrate([labelled], budget=0.12).chosen.accuracy) / 2
    found = cascade.calibrate([labelled], accuracy=aim).chosen
    assert aim <= found.accuracy < aim + 0.002
    assert found.cost < free.cost
    with pytest.raises(ValueError, match=r"no thresholds reach an accuracy of 1\.0000"):
        cascade.calibrate([labelled], accuracy=1.0)


def test_milliseconds_are_measured_where_macs_are_not_known(members, labelled, monkeypatch):
    monkeypatch.setattr("dyncore.cascade._clock.SECONDS", 0.01)
    unknown = [replace(member, cost=None) for member in members[:2]]
    cascade = Cascade(unknown)
    with pytest.raises(ValueError, match="MACs of linear 0, linear 1: give Member"):
        cascade.calibrate([labelled], budget=0.7)
    found = cascade.calibrate([labelled], ms=1000.0)
    assert found.unit == "ms"
    assert 0 < found.last_cost < found.chosen.cost < 1000
    with pytest.raises(ValueError, match="first member alone costs"):
        cascade.calibrate([labelled], ms=1e-9)


def test_the_dial(members, labelled):
    cascade = Cascade(members)
    with pytest.raises(ValueError, match="call calibrate"):
        cascade.set_budget(0.5)
    cascade.calibrate([labelled], budget=1.0)
    accuracies = []
    for budget in (0.15, 0.3, 0.6, 0.9):
        cascade.set_budget(budget)
        accuracy, cost = run(cascade, *labelled)
        assert budget - 0.03 < cost / COSTS[2] < budget + 0.001
        accuracies.append(accuracy)
    assert accuracies == sorted(accuracies)
    with pytest.raises(ValueError, match=r"less than the first member alone costs, 0\.111"):
        cascade.set_budget(0.1)


def test_fitted_temperatures_are_used(members, labelled):
    cascade = Cascade([replace(members[0], run=lambda x: 5 * members[0].run(x)), members[1]])
    cascade.calibrate([labelled], budget=1.0)
    assert cascade.temperatures == (1.0, 1.0)
    cascade.calibrate([labelled], budget=1.0, fit_temperatures=True)
    first, second = cascade.temperatures
    assert first == pytest.approx(5 * fit_temperature(members[0].run(labelled[0]), labelled[1]))
    assert second != 1


@pytest.mark.parametrize(
    ("aims", "message"),
    [
        ({}, "give one aim, budget, accuracy, ms, not none"),
        ({"budget": 0.5, "accuracy": 0.5}, "not budget, accuracy"),
        ({"budget": -1.0}, "budget must be above 0"),
        ({"accuracy": 1.5}, "accuracy must be above 0 and at most 1"),
        ({"budget": 0.05}, "first member alone costs 100"),
    ],
)
def test_aims_that_make_no_sense_are_refused(members, labelled, aims, message):
    cascade = Cascade(members[::2])
    with pytest.raises(ValueError, match=message):
        cascade.calibrate([labelled], **aims)
    assert cascade.calibration is None
    assert cascade.thresholds == (ALL_GO_ON,)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "the batches are empty"),
        ([(torch.zeros(0, 3, 2, 2), torch.zeros(0).long())], "the batches are empty"),
        ([(torch.zeros(3, 3, 2, 2), torch.zeros(2).long())], r"parts of lengths \[3, 2\]"),
        ([(torch.zeros(2, 3, 2, 2), torch.tensor([0, CLASSES]))], "labels go from 0 to 4"),
        ([(torch.zeros(1, 3, 2, 2), torch.tensor([0]))], "at least two images"),
    ],
)
def test_batches_that_cannot_calibrate_are_refused(members, batches, message):
    with pytest.raises(ValueError, match=message):
        Cascade(members[:2]).calibrate(batches, budget=0.9)


def test_our_loaders_batches_are_taken(members, labelled):
    images, labels = labelled
    batch = Batch(images, labels, torch.arange(len(images)))
    plain, batched = Cascade(members[::2]), Cascade(members[::2])
    assert plain.calibrate([labelled], budget=0.5) == batched.calibrate([batch], budget=0.5)


def pixels(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 2, 2), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("count", [100, 6000])
def test_images_that_a_member_was_trained_on_are_refused(members, count):
    """Whether the member's sketch holds all of its training images or a twelfth of them."""
    trained = pixels(count)
    taught = replace(members[1], training_images=sketch(trained))
    cascade = Cascade([members[0], taught])
    labels = torch.arange(count) % CLASSES
    with pytest.raises(ValueError, match="linear 1 was trained on about 100% of the calibration"):
        cascade.calibrate([(trained.float() / 255, labels)], budget=1.0)
    assert cascade.calibration is None
    fresh = pixels(count, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cascade.calibrate([(fresh.float() / 255, labels)], budget=1.0)
    fresh[: count // 20] = trained[: count // 20]
    with pytest.warns(UserWarning, match=r"was trained on about [3-7]%"):
        cascade.calibrate([(fresh.float() / 255, labels)], budget=1.0)


def test_the_monitor_sees_drift(members, labelled):
    images, labels = labelled
    cascade = Cascade(members)
    with pytest.raises(ValueError, match="call calibrate"):
        cascade.monitor()
    cascade.calibrate([(images[::2], labels[::2])], budget=0.5)
    monitor = cascade.monitor(window=500)
    assert monitor.asked == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in images[1::2].split(100):
            cascade(part)
    went_on = (cascade(images[1::2][-500:]).member > 0).float().mean().item()
    assert monitor.asked[1] == pytest.approx(went_on)
    dull = (0.5 + 0.1 * (images[:500] - 0.5)).split(100)
    for part in dull[:-1]:
        cascade(part)
    with pytest.warns(UserWarning, match=r"went on to member 1.*calibrate again"):
        cascade(dull[-1])
    assert monitor.asked[1] > 0.9
    p, q = monitor.asked[1], monitor.calibrated[1]
    z = (p - q) / math.sqrt(q * (1 - q) * (1 / 500 + 1 / 2000))
    assert monitor.deviations()[0] == pytest.approx(z)
    assert "in calibration" in str(monitor)


def test_a_monitor_of_thresholds_set_by_hand_is_refused(members, labelled):
    cascade = Cascade(members[:2])
    cascade.calibrate([labelled], budget=1.0)
    cascade.thresholds = (0.5,)
    with pytest.raises(ValueError, match="call calibrate"):
        cascade.monitor()
