"""An engine of a cascade answers as the cascade does."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import dyncore
from dyncore import Engine
from dyncore.cascade import Cascade, Library, Member
from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork

CLASSES = tuple("abc")
PREPROCESSING = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), size=8)


def member(network: DynamicNetwork, name: str, **fields: object) -> Member:
    made = Member.of(network, name=name, preprocessing=PREPROCESSING, classes=CLASSES)
    return replace(made, **fields)


@pytest.fixture(scope="module")
def trio(build_resnet) -> list[Member]:
    """One of a path per block, one of two, and one of channels for larger images, in float64."""
    torch.manual_seed(3)
    static = build_resnet("basic", (4,), "cifar", 1, False, "pad")
    networks = [
        static,
        build_resnet("basic", (8, 16), "cifar", 2, False, "projection"),
        build_resnet("bottleneck", (8, 16), "cifar", 1, True, "pad"),
    ]
    members = [member(network, f"member {i}") for i, network in enumerate(networks)]
    members[2] = replace(members[2], preprocessing=replace(PREPROCESSING, size=12))
    return members


@pytest.fixture(scope="module")
def images() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(33, 3, 8, 8, dtype=torch.float64, generator=generator)


def halving(members: list[Member], images: Tensor, **options: object) -> Cascade:
    """A cascade whose every member lets half of what it sees go on."""
    cascade = Cascade(members, **options)
    cascade.thresholds = (0.0,) * (len(members) - 1)
    for index in range(len(members) - 1):
        output = cascade(images)
        asked = output.member == index
        sure = output.logits[asked].softmax(1).amax(1)
        middle = float(sure.median()) + 1e-6
        cascade.thresholds = (*cascade.thresholds[:index], middle, *cascade.thresholds[index + 1 :])
    return cascade


def assert_same(ours: dyncore.Output, expected: dyncore.Output) -> None:
    torch.testing.assert_close(ours.logits, expected.logits, rtol=0, atol=1e-9)
    assert ours.member.equal(expected.member)
    assert ours.macs.equal(expected.macs)
    assert ours.path.on.equal(expected.path.on)


@pytest.mark.parametrize("portable", [True, pytest.param(False, marks=pytest.mark.needs_compiler)])
@pytest.mark.parametrize("answer", ["mean", "last"])
def test_batches_of_any_size_are_answered_as_by_the_cascade(trio, images, portable, answer):
    cascade = halving(trio, images, answer=answer)
    assert cascade(images).member.unique().tolist() == [0, 1, 2]
    engine = Engine(cascade, images, threads=2, portable=portable)
    for batch in (0, 1, 2, 7, 33):
        assert_same(engine(images[:batch]), cascade(images[:batch]))
    alone = torch.cat([engine(image[None]).logits for image in images])
    torch.testing.assert_close(alone, cascade(images).logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("threshold", "last"), [(0.0, 0), (2.0, 2)])
@pytest.mark.parametrize("batch", [1, 33])
def test_none_or_all_go_on(trio, images, threshold, last, batch):
    cascade = Cascade(trio)
    engine = Engine(cascade, images, threads=2)
    cascade.thresholds = (threshold, threshold)
    assert engine(images[:batch]).member.tolist() == [last] * batch
    assert_same(engine(images[:batch]), cascade(images[:batch]))


def test_what_is_set_on_the_cascade_later_holds_for_the_next_call(trio, images):
    def run(given: Tensor) -> Tensor:
        return trio[0].run(given).logits.roll(1, 1)

    contrary = replace(trio[0], run=run, cost=10**9)
    cascade = Cascade([trio[0], contrary], answer="last")
    engine = Engine(cascade, images, threads=1)
    labels = cascade(images).logits.argmax(1)  # the first member is never right
    dial = cascade.calibrate([(images, labels)], budget=1.5).dial
    went_on = []
    for setting in (dial[0], dial[-1]):
        cascade.set_budget(setting.cost / cascade.calibration.last_cost)
        assert_same(engine(images), cascade(images))
        went_on.append(int(engine(images).member.sum()))
    assert went_on[0] < went_on[1]
    monitor = cascade.monitor()
    engine(images)
    assert monitor.asked == cascade.setting.asked
    cascade.temperatures, cascade.confidence, cascade.answer = (1.5, 0.5), "margin", "mean"
    cascade.thresholds, cascade.cap = (2.0,), 0.25
    assert int(engine(images).member.sum()) == 9
    assert_same(engine(images), cascade(images))


def test_permuted_classes_and_members_that_are_functions(trio, images):
    def run(given: Tensor) -> Tensor:
        return trio[1].run(given).logits[:, [2, 0, 1]]

    other = replace(trio[1], run=run, classes=tuple("cab"), cost=77)
    with pytest.warns(UserWarning, match="another order"):
        cascade = Cascade([other, trio[0]], classes=tuple("bac"))
    cascade.thresholds = (float(cascade.logits(0, images)[0].softmax(1).amax(1).median()),)
    engine = Engine(cascade, images, threads=2)
    assert engine(images).member.unique().tolist() == [0, 1]
    assert_same(engine(images), cascade(images))
    assert engine.profile().modules == ("member 0",)


def test_an_answer_that_is_nan_is_refused_with_its_image(trio, images):
    poisoned = images[:9].clone()
    poisoned[4] = 0.25
    engine = Engine(Cascade(trio), images)
    with pytest.raises(ValueError, match="images are in"):
        engine(poisoned.masked_fill(poisoned == 0.25, float("nan")))

    def run(given: Tensor) -> Tensor:
        return given.flatten(1)[:, :3].masked_fill(given[:, 0, 0, :1] == 0.25, torch.inf)

    flat = Member(run=run, name="flat", preprocessing=None, cost=5)
    cascade = Cascade([trio[0], flat])
    with pytest.raises(ValueError, match=r"flat .member 1. answers NaN or infinity for image 4 of"):
        Engine(cascade, images)(poisoned)


def test_a_network_with_a_broken_weight_is_refused_with_its_image(trio, images):
    """The member's answer is NaN in compiled code, too."""
    network = copy.deepcopy(trio[0].run)
    with torch.no_grad():
        network.backbone.fc.bias[0] = float("inf")
    cascade = Cascade([replace(trio[0], run=network), trio[1]])
    with pytest.raises(ValueError, match=r"member 0 .member 0. answers NaN or infinity"):
        Engine(cascade, images)


def test_images_that_no_member_could_take_are_refused(trio, images):
    cascade = Cascade(trio)
    engine = Engine(cascade, images)
    with pytest.raises(ValueError, match=r"images are in \[0, 2\], expected \[0, 1\]"):
        engine(torch.tensor([0.0, 2.0]).double().repeat(1, 3, 8, 4))
    with pytest.raises(ValueError, match=r"dtype torch\.float32, but this engine was built for"):
        engine(images.float())
    with pytest.raises(ValueError, match=r"shape \(33, 3, 8, 4\), but this engine was built for"):
        engine(images[..., :4])
    with pytest.raises(ValueError, match="takes no path"):
        engine(images, path=cascade(images).path)
    with pytest.raises(ValueError, match="no image"):
        Engine(cascade, images[:0])
    with pytest.raises(ValueError, match=r"example_input is torch.float32 .*member 0 is torch.flo"):
        Engine(cascade, images.float())


def test_what_makes_no_sense_of_a_cascade_is_refused(trio, images):
    engine = Engine(Cascade(trio), images)
    with pytest.raises(ValueError, match="of each member"):
        engine.compare(images)


def test_a_profile_has_a_block_for_each_member(trio, images):
    profile = Engine(Cascade(trio), images, threads=1).profile(batch=2)
    assert profile.table.unit == "ns"
    assert [block.gated for block in profile.table.blocks] == [False, True, True]
    times = [block.paths[0].total for block in profile.table.blocks]
    assert min(times) > 0
    assert profile.table.full == sum(times)


def test_an_engine_of_a_cascade_can_be_copied(trio, images):
    cascade = halving(trio, images)
    engine = Engine(cascade, images, threads=1)
    again = pickle.loads(pickle.dumps(engine))
    assert_same(again(images), cascade(images))


def test_members_keep_the_weights_that_they_had(trio, images):
    cascade = Cascade([replace(m, run=copy.deepcopy(m.run)) for m in trio[:2]])
    engine = Engine(cascade, images)
    before = engine(images).logits
    with torch.no_grad():
        cascade.members[0].run.backbone.fc.weight.zero_()
    assert engine(images).logits.equal(before)


@pytest.mark.needs_compiler
def test_members_share_their_threads(trio, images):
    runner = Engine(Cascade(trio), images, threads=2)._runner
    crews = {id(member._backend._here().crew) for member in runner._members}
    assert len(crews) == 1


def test_a_network_of_timm_and_one_of_ours(trio, images):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv3_small_050", num_classes=3).eval().double()
    large = replace(PREPROCESSING, size=32)
    library = Library(package="timm", model="mobilenetv3_small_050", num_classes=3)
    second = Member.of(network, preprocessing=large, library=library)
    cascade = Cascade([trio[0], second])
    sure = cascade.logits(0, images)[0].softmax(1).amax(1)
    cascade.thresholds = (float(sure.median()),)
    engine = Engine(cascade, images, threads=1)
    assert engine(images).member.unique().tolist() == [0, 1]
    assert_same(engine(images), cascade(images))
