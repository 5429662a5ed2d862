"""The budget dial: what it promises holds on images that it has not seen."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dyncore
from dyncore import Engine
from dyncore.calibration import calibrate, curve
from dyncore.cascade import Cascade
from dyncore.cost import cost_table
from dyncore.data import Batch, sketch
from dyncore.engine import _times
from dyncore.export import freeze_unused
from dyncore.gating import StraightThroughGateConfig
from dyncore.network import Dial, DialSetting, DynamicNetwork

from .conftest import SEEN, drawn


def reachable(dial: Dial) -> list[float]:
    """Four budgets between the cheapest setting and the dearest."""
    low, high = (dial.settings[end].cost / dial.static_cost for end in (0, -1))
    return [low + (high - low) * share for share in (0.3, 0.5, 0.7, 0.95)]


def test_a_budget_holds_on_images_not_seen(calibrated, unseen):
    dial = calibrated.dial
    assert (dial.images, dial.static_cost) == (300, cost_table(calibrated, (3, 13, 16)).static)
    for point in curve(calibrated, unseen, reachable(dial)):
        assert abs(point.error) < 1.5 * dial.tolerance, point


def test_what_it_says_is_what_the_network_does(calibrated, held_out):
    """MACs, accuracy and rates of a setting, counted again by hand."""
    model, dial = calibrated, calibrated.dial
    images, labels = (torch.cat(parts) for parts in zip(*held_out, strict=True))
    budget = reachable(dial)[1]
    model.set_budget(budget)
    output = model(SEEN.normalize(images))
    macs = cost_table(model, (3, 13, 16)).macs(output.path).double().mean()
    assert macs == pytest.approx(budget * dial.static_cost, rel=0.04)
    setting = min(dial.settings, key=lambda each: abs(each.cost - macs))
    model.move_thresholds(setting.threshold)
    output = model(SEEN.normalize(images))
    accuracy = (output.logits.argmax(1) == labels).double().mean()
    assert setting.accuracy == pytest.approx(accuracy.item())
    assert setting.rates == pytest.approx(output.path.on.double().mean(0).tolist(), abs=1e-4)


def test_as_it_was_trained_it_stays_bit_for_bit(calibrated, networks, held_out):
    model, images = calibrated, SEEN.normalize(held_out[0][0])
    before = networks[next(n for n, c in networks.items() if c.config == model.config)](images)
    assert torch.equal(model(images).logits, before.logits)
    for turn in (lambda: None, lambda: model.set_budget(0.9), lambda: model.set_budget(None)):
        turn()
    after = model(images)
    assert torch.equal(after.logits, before.logits)
    assert torch.equal(after.path.weight, before.path.weight)


@pytest.mark.parametrize("portable", [True, pytest.param(False, marks=pytest.mark.needs_compiler)])
def test_an_engine_obeys_at_once(calibrated, unseen, portable):
    model, dial = calibrated, calibrated.dial
    images = SEEN.normalize(unseen[0][0][:40])
    engine = Engine(model, images[:1], threads=1, portable=portable)
    for budget in (*reachable(dial), None):
        engine.set_budget(budget)
        model.set_budget(budget)
        ours, expected = engine(images), model(images)
        assert torch.equal(ours.path.on, expected.path.on)
        torch.testing.assert_close(ours.logits, expected.logits, rtol=0, atol=1e-9)
        torch.testing.assert_close(ours.path.weight, expected.path.weight, rtol=0, atol=1e-9)


def test_an_engine_turns_to_milliseconds(model, held_out, monkeypatch):
    """By a clock that knows: 1 ms and 1 ns for every MAC, told paths 0.5 ms more."""
    dial = calibrate(model, held_out)
    engine = Engine(model, SEEN.normalize(held_out[0][0][:3]), threads=1, portable=True)
    table = cost_table(model, (3, 13, 16))

    def clock(subjects, images):
        times = {}
        for name, run in subjects.items():
            (*parts,) = (run(image)[0] for image in images)
            paths = [dyncore.ExecutionPath(part.decisions) for part in parts]
            macs = torch.cat([table.macs(path) for path in paths]).double().mean()
            times[name] = 1 + 1e-6 * float(macs) + (0 if name == "deciding" else 0.5)
        return times

    monkeypatch.setattr(_times, "milliseconds", clock)
    monkeypatch.setattr(_times, "DRAWS", 150)
    for budget in reachable(dial)[:3]:
        engine.set_budget(ms=1 + 1e-6 * budget * dial.static_cost)
        found = engine._runner._model.setting.cost / dial.static_cost
        assert found == pytest.approx(budget, rel=0.05)
    with pytest.raises(ValueError, match="is less than an image takes here"):
        engine.set_budget(ms=1.0)
    with pytest.raises(ValueError, match="budget or ms, not both"):
        engine.set_budget(0.5, ms=1.0)
    engine.set_budget()
    assert engine._runner._model.setting is None


def test_gates_that_were_told_give_way_in_their_own_order(held_out, build_network, networks):
    """Twice as sensitive: the threshold counts twice; what an engine reads follows."""
    gate = StraightThroughGateConfig(told=True)
    model = build_network(replace(networks["n2-basic"].config, gate=gate))
    plain = build_network(replace(networks["n2-basic"].config, gate=replace(gate, told=False)))
    with torch.no_grad():
        for own in model.gates.values():
            own.sensitivity.fill_(1.0)
    images = SEEN.normalize(held_out[0][0][:50])
    model.move_thresholds(0.3)
    plain.move_thresholds(0.6)
    assert torch.equal(model(images).path.on, plain(images).path.on)
    with torch.no_grad():
        for own in model.gates.values():
            own.sensitivity.copy_(torch.tensor([-1.0, 1.0]))
    model.move_thresholds(2.0)
    expected = model(images)
    assert torch.equal(Engine(model, images[:1], threads=1)(images).path.on, expected.path.on)
    model.move_thresholds(0.0)
    first = torch.tensor([site.columns.start for site in model.sites])
    assert torch.equal(expected.path.on[:, first[:1]], model(images).path.on[:, first[:1]])


def test_a_saved_model_keeps_its_dial(calibrated, held_out, tmp_path):
    model, dial = calibrated, calibrated.dial
    budget = reachable(dial)[2]
    model.set_budget(budget)
    model.save_pretrained(tmp_path)
    loaded = dyncore.from_pretrained(tmp_path)
    assert loaded.dial == model.dial
    assert loaded.setting == dial.at(budget)
    images = SEEN.normalize(held_out[0][0][:20])
    assert torch.equal(loaded(images).logits, model(images).logits)
    loaded.set_budget(None)
    model.set_budget(None)
    assert torch.equal(loaded(images).logits, model(images).logits)
    assert dyncore.from_pretrained(tmp_path, num_classes=3).dial is None
    assert freeze_unused(model, [images]).dial is None


def test_a_dial_of_another_network_is_refused(model, held_out, networks):
    calibrate(model, held_out)
    with pytest.raises(ValueError, match="not one of a network of"):
        DynamicNetwork(networks["n2-basic"].config, model.info)


def test_one_network_at_two_budgets_is_a_cascade(model, held_out, tmp_path):
    with pytest.raises(ValueError, match="a routed network was trained for one budget"):
        Cascade.nested(model, budgets=(0.5, 0.9))
    dial = calibrate(model, held_out)
    low, *_, high = reachable(dial)
    cascade = Cascade.nested(model, budgets=(low, high))
    small, whole = (member.run for member in cascade.members)
    assert small.backbone.conv1.weight is whole.backbone.conv1.weight is model.backbone.conv1.weight
    assert model.setting is None
    assert small.setting == dial.at(low)
    found = cascade.calibrate(held_out, budget=(low + high) / 2)
    assert found.chosen.asked[1] < 1
    cascade.save_pretrained(tmp_path)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    loaded = dyncore.from_pretrained(tmp_path)
    images = held_out[0][0][:, :, :13, :13]
    assert torch.equal(loaded(images).logits, cascade(images).logits)
    assert torch.equal(loaded(images).macs, cascade(images).macs)
    assert (
        loaded.members[0].run.backbone.conv1.weight is loaded.members[1].run.backbone.conv1.weight
    )
    with pytest.raises(ValueError, match="do not choose networks of growing cost"):
        Cascade.nested(model, budgets=(high, low))


@st.composite
def dials(draw) -> Dial:
    """A few settings at growing costs, no two of them far apart."""
    steps = draw(st.lists(st.integers(1, 30), min_size=2, max_size=8))
    costs = [200.0 + sum(steps[:index]) for index in range(len(steps))]
    settings = tuple(
        DialSetting(threshold=-cost, cost=cost, accuracy=cost / 1000, rates=(cost / 1000,))
        for cost in costs
    )
    return Dial(images=100, static_cost=1000, tolerance=0.01, settings=settings)


@given(dial=dials(), share=st.floats(0, 1))
def test_between_two_settings_costs_are_on_a_line(dial, share):
    low, high = dial.settings[0].cost, dial.settings[-1].cost
    budget = (low + share * (high - low)) / 1000
    found = dial.at(budget)
    assert found.cost == pytest.approx(1000 * budget)
    assert found.threshold == pytest.approx(-1000 * budget)
    assert found.rates[0] == pytest.approx(budget)
    assert dial.at(2.0) == dial.settings[-1]
    with pytest.raises(ValueError, match="less than this network costs with almost nothing on"):
        dial.at(0.1)


def test_where_all_images_jump_at_once_the_cheaper_side_is_taken():
    sides = [
        DialSetting(threshold=t, cost=c, accuracy=0.5, rates=(1.0,))
        for t, c in ((1.0, 3.0), (0.0, 9.0))
    ]
    dial = Dial(images=9, static_cost=10, tolerance=0.1, settings=tuple(sides))
    with pytest.warns(UserWarning, match=r"no threshold gives a budget of 0.5: .* 0.300 and 0.900"):
        assert dial.at(0.5) == sides[0]


def test_a_loops_normalised_batches_are_taken_if_one_says_so(model, held_out):
    loop = [(SEEN.normalize(images), labels) for images, labels in held_out]
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\], .* say normalised=True"):
        calibrate(model, loop)
    expected = calibrate(model, held_out).settings
    found = calibrate(model, iter(loop), normalised=True).settings
    assert [s.cost for s in found] == pytest.approx([s.cost for s in expected], rel=1e-3)


def test_what_cannot_be_calibrated_is_refused(model, networks, held_out):
    with pytest.raises(ValueError, match="set_budget needs to know what thresholds cost"):
        model.set_budget(0.5)
    model.set_budget(None)
    with pytest.raises(ValueError, match="a static network has no gates"):
        calibrate(networks["static"], held_out)
    with pytest.raises(ValueError, match="give one aim, budget or accuracy"):
        calibrate(model, held_out, budget=0.5, accuracy=0.5)
    with pytest.raises(ValueError, match="at least two images"):
        calibrate(model, [(held_out[0][0][:1], held_out[0][1][:1])])
    with pytest.raises(ValueError, match="labels go from 7 to 7, but there are 5 classes"):
        calibrate(model, [(held_out[0][0][:2], torch.tensor([7, 7]))])
    with pytest.raises(ValueError, match=r"no setting reaches an accuracy of 0\.99"):
        calibrate(model, held_out, accuracy=0.99)
    with pytest.raises(ValueError, match=r"budget 0\.01 is less than this network costs"):
        calibrate(model, held_out, budget=0.01)
    assert model.dial is None
    bare = copy.deepcopy(model)
    bare.info = replace(bare.info, preprocessing=None)
    with pytest.raises(ValueError, match="does not say what its images go through"):
        calibrate(bare, held_out)


def test_aims_set_the_dial(model, held_out):
    dial = calibrate(model, held_out, budget=0.9)
    assert model.setting == dial.at(0.9)
    accuracy = dial.settings[len(dial.settings) // 2].accuracy
    calibrate(model, held_out, accuracy=accuracy)
    assert model.setting.accuracy >= accuracy
    model.train()
    calibrate(model, held_out)
    assert model.training
    assert model.setting is None


def test_training_images_are_known_again(model, held_out):
    pixels = (255 * drawn(40, seed=5)[0]).round().to(torch.uint8)
    model.info = replace(model.info, training_images=sketch(pixels))
    images, labels = pixels.double() / 255, torch.zeros(40, dtype=torch.long)
    with pytest.raises(
        ValueError, match="tiny was trained on about 100% of the calibration images"
    ):
        calibrate(model, [(images, labels)])
    mixed = Batch(
        torch.cat([images[:12], held_out[0][0]]), torch.zeros(192).long(), torch.arange(192)
    )
    with pytest.warns(UserWarning, match=r"trained on about [2-9]% of"):
        calibrate(model, [mixed])
