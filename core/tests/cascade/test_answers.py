"""A cascade against a loop over single images, written from the rule."""

import copy
import math
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

import dyncore
from dyncore.cascade import Cascade, Member
from dyncore.data import Preprocessing

from .conftest import CLASSES, COSTS

THRESHOLDS = (0.72, 0.8)


def softmax(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def sure(probabilities: list[float], measure: str) -> float:
    ranked = sorted(probabilities, reverse=True)
    if measure == "max-probability":
        return ranked[0]
    if measure == "margin":
        return ranked[0] - ranked[1]
    return 1 + sum(p * math.log(p) for p in ranked) / math.log(len(ranked))


def by_hand(members, image, *, measure, answer, thresholds, temperatures):
    """(probabilities, member that answered, MACs) of one image."""
    heard, cost = [], 0
    for index, member in enumerate(members):
        heard.append(softmax(member.run(image[None])[0].tolist(), temperatures[index]))
        cost += member.cost
        told = heard if answer == "mean" else heard[-1:]
        said = [sum(column) / len(told) for column in zip(*told, strict=True)]
        if index == len(thresholds) or sure(said, measure) >= thresholds[index]:
            return said, index, cost
    raise AssertionError


@pytest.mark.parametrize("measure", ["max-probability", "margin", "entropy"])
@pytest.mark.parametrize("answer", ["mean", "last"])
@pytest.mark.parametrize("count", [2, 3])
def test_each_image_is_answered_as_the_rule_says(members, labelled, measure, answer, count):
    images, asked = labelled[0][:80].double(), members[:count]
    cascade = Cascade(asked, confidence=measure, answer=answer)
    thresholds = THRESHOLDS if measure == "max-probability" else (0.45, 0.55)
    cascade.thresholds = thresholds[: count - 1]
    cascade.temperatures = (1.3, 0.8, 1.1)[:count]
    output = cascade(images)
    for row, image in enumerate(images):
        said, member, cost = by_hand(
            asked,
            image,
            measure=measure,
            answer=answer,
            thresholds=cascade.thresholds,
            temperatures=cascade.temperatures,
        )
        assert output.member[row] == member
        assert output.macs[row] == cost
        assert output.logits[row].softmax(0).tolist() == pytest.approx(said, abs=1e-9)
    assert len(output.member.unique()) == count
    assert output.path.on.sum(1).tolist() == (output.member + 1).tolist()


@pytest.mark.parametrize(("threshold", "member"), [(0.0, 0), (2.0, 1)])
def test_none_or_all_go_on(members, labelled, threshold, member):
    images = labelled[0][:9]
    cascade = Cascade(members[:2], answer="last")
    cascade.thresholds = (threshold,)
    output = cascade(images)
    assert output.member.tolist() == [member] * 9
    expected = members[member].run(images)
    torch.testing.assert_close(output.logits.softmax(1), expected.softmax(1))
    assert output.macs.tolist() == [sum(COSTS[: member + 1])] * 9


def test_uncalibrated_thresholds_ask_everyone(members, labelled):
    assert Cascade(members)(labelled[0][:5]).member.tolist() == [2] * 5


def test_an_empty_batch_has_an_empty_answer(members):
    refusing = Member(run=lambda images: 1 / 0, name="no", preprocessing=None, num_classes=CLASSES)
    for cascade in (Cascade(members[:2]), Cascade([refusing, refusing])):
        output = cascade(torch.zeros(0, 3, 2, 2))
        assert output.logits.shape == (0, CLASSES)
        assert len(output.member) == len(output.macs) == 0


def test_batch_mates_do_not_matter(members, labelled):
    images = labelled[0][:30]
    cascade = Cascade(members)
    cascade.thresholds = THRESHOLDS
    whole = cascade(images)
    alone = [cascade(image[None]) for image in images]
    assert whole.member.tolist() == [int(output.member) for output in alone]
    torch.testing.assert_close(whole.logits, torch.cat([output.logits for output in alone]))


@pytest.mark.parametrize(("cap", "most"), [(0.25, 3), (0.01, 1), (1.0, 10)])
def test_a_cap_lets_the_least_sure_go_on(members, labelled, cap, most):
    images = labelled[0][:10]
    cascade = Cascade(members[:2], cap=cap)
    confidence = members[0].run(images).softmax(1).amax(1)
    went_on = cascade(images).member.nonzero()[:, 0].tolist()
    assert went_on == sorted(confidence.argsort()[:most].tolist())


def test_images_that_are_not_in_0_to_1_are_refused(members):
    cascade = Cascade(members)
    with pytest.raises(ValueError, match=r"images are in \[-0.5, 1.5\], expected \[0, 1\]"):
        cascade(torch.tensor([-0.5, 1.5]).expand(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"expected \(batch, 3, size, size\)"):
        cascade(torch.zeros(1, 3, 2, 4))


def test_training_mode_is_refused(members):
    with pytest.raises(ValueError, match=r"call cascade\.eval"):
        Cascade(members).train()(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("culprit", [0, 1])
def test_an_answer_that_is_not_finite_is_refused_with_its_image(members, labelled, value, culprit):
    images = labelled[0][:20].clone()
    images[7] = 0.25

    def broken(given):
        logits = members[culprit].run(given)
        logits[(given == 0.25).flatten(1).all(1)] = value
        return logits

    asked = [members[0], members[1]]
    asked[culprit] = replace(asked[culprit], run=broken)
    cascade = Cascade(asked)
    with pytest.raises(ValueError, match=rf"linear {culprit} .member {culprit}.* for image 7 of"):
        cascade(images)


def test_logits_of_another_shape_are_refused(members, labelled):
    odd = Member(run=lambda images: images.flatten(1), name="odd", preprocessing=None)
    with pytest.raises(ValueError, match=r"odd .member 1. answers with shape \(3, 12\)"):
        Cascade([members[0], odd])(labelled[0][:3])


def named(member: Member, classes: str) -> Member:
    order = ["abcd".index(name) for name in classes]
    run = member.run
    return replace(
        member, run=lambda images: run(images)[:, order], classes=tuple(classes), num_classes=4
    )


def test_classes_in_another_order_are_permuted_by_name(members, labelled):
    images = labelled[0][:50]
    plain = Cascade(members[:2])(images)
    with pytest.warns(UserWarning, match="linear 1 stand in another order"):
        other = Cascade([named(members[0], "abcd"), named(members[1], "dbac")])
    assert other.info.classes == tuple("abcd")
    torch.testing.assert_close(other(images).logits, plain.logits)
    with pytest.warns(UserWarning, match="linear 0 stand in another order"):
        chosen = Cascade([named(members[0], "abcd"), members[1]], classes=tuple("abdc"))
    assert chosen.info.classes == tuple("abdc")
    assert torch.equal(chosen.logits(0, images)[0], members[0].run(images)[:, [0, 1, 3, 2]])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"classes": ("a", "b")}, {"classes": ("a", "c")}, "second does not know the classes b"),
        ({"classes": ("a", "b")}, {"num_classes": 3}, "different numbers of classes"),
        ({"num_classes": 2}, {"num_classes": 3}, "first: 2, second: 3"),
        ({"num_classes": 1}, {"num_classes": 1}, "at least two classes"),
    ],
)
def test_members_that_do_not_fit_are_refused(first, second, message):
    pair = [
        Member(run=lambda images: images, name=name, preprocessing=None, **fields)
        for name, fields in (("first", first), ("second", second))
    ]
    with pytest.raises(ValueError, match=message):
        Cascade(pair)


def test_settings_that_make_no_cascade_are_refused(members):
    with pytest.raises(ValueError, match="at least two members, not 1"):
        Cascade(members[:1])
    with pytest.raises(ValueError, match="cap must be"):
        Cascade(members, cap=0.0)
    with pytest.raises(ValueError, match="3 members need 2 thresholds, not 1"):
        Cascade(members).thresholds = (0.5,)
    with pytest.raises(ValueError, match="a class name stands twice"):
        Member(run=lambda images: images, name="x", preprocessing=None, classes=("a", "a"))


def pictures(count: int) -> torch.Tensor:
    """Images in [0, 1] of different colour and contrast, in float64."""
    draw = partial(torch.rand, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    contrast = draw(count, 1, 1, 1)
    return (1 - contrast) * draw(count, 3, 1, 1) + contrast * draw(count, 3, 16, 16)


PREPROCESSING = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), size=16)


def test_our_networks_bring_preprocessing_and_their_images_own_macs(networks):
    """The second member decides for itself: its cost differs between images."""
    small, large = (networks[name] for name in ("static", "additive"))
    cascade = Cascade(
        [
            Member.of(small, preprocessing=replace(PREPROCESSING, size=8), name="small"),
            Member.of(large, preprocessing=PREPROCESSING, name="large"),
        ],
        answer="last",
    )
    images = pictures(24)
    cascade.thresholds = (float(cascade.logits(0, images)[0].softmax(1).amax(1).median()),)
    output = cascade(images)
    went_on = output.member == 1
    assert 0 < went_on.sum() < 24
    mean, std = (
        torch.tensor(values, dtype=torch.float64)[:, None, None]
        for values in (PREPROCESSING.mean, PREPROCESSING.std)
    )
    expected = large((images[went_on] - mean) / std)
    torch.testing.assert_close(output.logits[went_on], expected.logits.log_softmax(1))
    first = dyncore.cost_table(small, (3, 8, 8)).static
    second = dyncore.cost_table(large, (3, 16, 16)).macs(expected.path)
    assert output.macs[went_on].tolist() == (first + second).tolist()
    assert len(second.unique()) > 1
    assert output.macs[~went_on].unique().tolist() == [first]
    table = dyncore.cost_table(cascade, (3, 16, 16))
    assert table.static == dyncore.cost_table(large, (3, 16, 16)).full
    assert table.macs(output.path)[~went_on].unique().tolist() == [first]


def test_a_module_without_preprocessing_is_refused(networks):
    with pytest.raises(ValueError, match="does not say what its images go through"):
        Cascade([networks["static"], networks["static"]])


def test_the_cascades_transforms_leave_normalising_to_its_members(networks):
    resized = replace(PREPROCESSING, size=24, resize=32)
    pair = [Member.of(networks["static"], preprocessing=p) for p in (PREPROCESSING, resized)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Cascade(pair).info.preprocessing
    assert (found.size, found.resize) == (24, 32)
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(found.normalize(images), images)


def test_to_and_eval_reach_members_that_are_modules(networks):
    pair = [copy.deepcopy(networks["static"]).train() for _ in range(2)]
    cascade = Cascade([Member.of(m, preprocessing=PREPROCESSING) for m in pair])
    assert not any(m.training for m in pair)
    cascade.float()
    assert {p.dtype for m in pair for p in m.parameters()} == {torch.float32}
    assert Cascade([Member.of(m, preprocessing=PREPROCESSING) for m in pair])(
        torch.rand(2, 3, 16, 16)
    ).logits.shape == (2, 5)


def test_an_engine_runs_a_member(networks):
    network = networks["additive"]
    example = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    engine = dyncore.Engine(network, example, portable=True)
    plain = Member.of(network, preprocessing=PREPROCESSING)
    images = pictures(6)
    cascade, fast = (Cascade([plain, second]) for second in (plain, plain.running(engine)))
    torch.testing.assert_close(fast(images).logits, cascade(images).logits)
    assert fast(images).macs.tolist() == cascade(images).macs.tolist()
