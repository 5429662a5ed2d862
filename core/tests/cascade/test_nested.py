"""Networks inside of one as members: weights once, and what two of them compute, once."""

import copy
import itertools
import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import dyncore
from dyncore import Engine, ModelFileError
from dyncore.backbones import ResNetConfig
from dyncore.cascade import Cascade, Member
from dyncore.cost import cost_table
from dyncore.data import Preprocessing
from dyncore.network import DynamicConfig, DynamicNetwork, ModelInfo, Subnet

BACKBONE = ResNetConfig(block="basic", depths=(2, 3, 1), widths=(4, 8, 8), stem="cifar")
NESTED = (
    Subnet(blocks=(0, 1), norms="shared"),
    Subnet(blocks=(0, 2, 5)),
    Subnet(blocks=(0, 1, 2, 3), norms="shared"),
)
INFO = ModelInfo(
    model="both",
    classes=tuple("abc"),
    preprocessing=Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), size=8),
)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Of different colours and contrasts."""
    generator = torch.Generator().manual_seed(3)
    colour = torch.rand(17, 3, 1, 1, generator=generator, dtype=torch.float64)
    texture = torch.rand(17, 3, 8, 8, generator=generator, dtype=torch.float64)
    return torch.lerp(colour, texture, torch.linspace(0.1, 0.9, 17).double()[:, None, None, None])


@pytest.fixture(scope="module")
def network(images) -> DynamicNetwork:
    """Its norms have seen the images, so that its answers to them differ."""
    torch.manual_seed(0)
    config = DynamicConfig(backbone=BACKBONE, num_classes=3, nested=NESTED)
    network = DynamicNetwork(config, INFO).double().train()
    for _ in range(20):
        network(INFO.preprocessing.normalize(images))
    return network.eval()


def mostly_unsure(cascade: Cascade, images: Tensor) -> Cascade:
    """Of every member three quarters would go on; no confidence is near a threshold."""
    sure = [
        cascade.logits(index, images)[0].softmax(1).amax(1).sort().values[12:14].mean()
        for index in range(len(cascade.members) - 1)
    ]
    cascade.answer, cascade.thresholds = "last", tuple(map(float, sure))
    return cascade


def without_rests(cascade: Cascade) -> Cascade:
    """The same rule over members that are asked about images only."""
    again = copy.copy(cascade)
    again.members = tuple(replace(member, rest=None) for member in cascade.members)
    return again


@pytest.mark.parametrize("asked", [(0, 1, 2, 3), (0, 2, 3), (1, 3), (0, 1)])
def test_an_exit_is_gone_on_from_and_nothing_else(network, images, asked):
    cascade = mostly_unsure(Cascade([network.at(index) for index in asked]), images)
    went_on = [before in (0, 2) and after in (2, 3) for before, after in itertools.pairwise(asked)]
    assert [member.rest is not None for member in cascade.members] == [False, *went_on]
    output, expected = cascade(images), without_rests(cascade)(images)
    assert len(output.member.unique()) > 1
    torch.testing.assert_close(output.logits, expected.logits, rtol=0, atol=1e-12)
    assert torch.equal(output.member, expected.member)
    saved = [
        0 if member.rest is None else member.cost.full - member.rest.macs
        for member in cascade.members
    ]
    asked_about = output.path.on.sum(0)
    assert min(asked_about) > 0
    assert int((expected.macs - output.macs).sum()) == int(
        (asked_about * torch.tensor(saved)).sum()
    )


def test_what_both_compute_runs_once_and_is_counted_once(network, images):
    """Convolutions see each image as often as the MACs say."""
    cascade = mostly_unsure(Cascade([network.at(0), network.at(2), network]), images)
    seen: dict[str, int] = {}

    def count(name: str):
        return lambda module, given, out: seen.update({name: seen.get(name, 0) + len(given[0])})

    hooks = [
        block.conv1.register_forward_hook(count(str(index)))
        for index, block in enumerate(network.backbone.blocks)
    ]
    output = cascade(images)
    for hook in hooks:
        hook.remove()
    second, third = int((output.member >= 1).sum()), int((output.member == 2).sum())
    assert 0 < third < second < 17
    expected = {"0": 17, "1": 17, "2": second, "3": second, "4": third, "5": third}
    assert seen == expected
    table = cost_table(network, (3, 8, 8))
    blocks = [block.paths[0].total + block.shortcut for block in table.blocks]
    heads = [cost_table(network.at(index), (3, 8, 8)).head for index in (0, 2, 3)]
    macs = 17 * (table.stem + heads[0]) + second * heads[1] + third * heads[2]
    macs += sum(seen[str(index)] * cost for index, cost in enumerate(blocks))
    assert int(output.macs.sum()) == macs
    of_cascade = cost_table(cascade, (3, 8, 8))
    assert torch.equal(of_cascade.macs(output.path), output.macs)
    assert of_cascade.static == table.full


@pytest.mark.parametrize("portable", [True, pytest.param(False, marks=pytest.mark.needs_compiler)])
def test_an_engine_goes_on_from_an_exit_too(network, images, portable):
    cascade = mostly_unsure(Cascade([network.at(index) for index in (0, 2, 3)]), images)
    engine = Engine(cascade, images, threads=1, portable=portable)
    assert [m.rest is not None for m in engine._runner._members] == [False, True, True]
    for batch in (1, 2, 17):
        ours, expected = engine(images[:batch]), cascade(images[:batch])
        torch.testing.assert_close(ours.logits, expected.logits, rtol=0, atol=1e-9)
        assert torch.equal(ours.member, expected.member)
        assert torch.equal(ours.macs, expected.macs)
    assert min(block.paths[0].total for block in engine.profile(2).table.blocks) > 0


def test_budgets_choose_the_nearest_networks(network):
    full = cost_table(network, (3, 8, 8)).full
    shares = [cost_table(network.at(index), (3, 8, 8)).full / full for index in range(4)]
    chosen = Cascade.nested(network, budgets=(shares[1] + 0.02, 1.0))
    assert [member.run for member in chosen.members] == [network.at(1), network]
    assert len(Cascade.nested(network).members) == 4
    assert Cascade.nested(network, cap=0.5, answer="last").policy.answer == "last"
    with pytest.raises(ValueError, match="do not choose networks of growing cost"):
        Cascade.nested(network, budgets=(0.99, 1.0))
    with pytest.raises(ValueError, match="no smaller one inside"):
        Cascade.nested(network.at(1))
    with pytest.raises(ValueError, match="a routed network was trained for one budget"):
        Cascade.nested(dyncore.create_model("vanilla-resnet20-cifar"))


def test_budgets_are_shares_of_the_whole_network(network, images):
    cascade = Cascade([network.at(2), network])
    labels = network(INFO.preprocessing.normalize(images)).logits.argmax(1)
    found = cascade.calibrate([(images, labels)], budget=0.95)
    full = cost_table(network, (3, 8, 8)).full
    assert found.last_cost == full
    assert found.chosen.cost <= 0.95 * full
    before = cost_table(network.at(2), (3, 8, 8)).full
    rest = cascade.members[1].rest.macs
    assert found.chosen.cost == pytest.approx(before + found.chosen.asked[1] * rest)
    assert cascade.calibrate([(images, labels)], ms=1e6).unit == "ms"


def test_weights_are_saved_once_and_shared_again(network, images, tmp_path):
    cascade = mostly_unsure(Cascade([network.at(0), network.at(1), network]), images)
    Cascade([network.at(1), network.at(0)]).save_pretrained(tmp_path)  # by themselves: two folders
    assert (tmp_path / "members" / "0" / "model.safetensors").exists()
    cascade.save_pretrained(tmp_path)
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert files == ["cascade.json", "members/2/config.json", "members/2/model.safetensors"]
    loaded = dyncore.from_pretrained(tmp_path)
    small, whole = loaded.members[0].run, loaded.members[2].run
    assert small.backbone.conv1 is whole.backbone.conv1
    assert loaded.info == cascade.info
    assert torch.equal(loaded(images).logits, cascade(images).logits)
    assert torch.equal(loaded(images).macs, cascade(images).macs)


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ({"member": 0, "at": 0}, "inside of member 0, which is none"),
        ({"member": 9, "at": 0}, "inside of member 9, which is none"),
        ({"member": 1, "at": 7}, "there is no network 7"),
        ({"member": 1}, "at"),
    ],
)
def test_a_place_that_is_none_is_refused(network, tmp_path, inside, message):
    Cascade([network.at(0), network]).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "cascade.json").read_text())
    content["cascade"]["members"][0]["inside"] = inside
    (tmp_path / "cascade.json").write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match=message):
        dyncore.from_pretrained(tmp_path)


def test_a_member_of_another_preprocessing_is_asked_about_images(network):
    other = replace(INFO.preprocessing, mean=(0.5, 0.5, 0.5))
    members = [Member.of(network.at(2), preprocessing=other), Member.of(network)]
    assert Cascade(members).members[1].rest is None
    run = Cascade([Member.of(network.at(2)), Member.of(network).running(network.forward)])
    assert run.members[1].rest is None
