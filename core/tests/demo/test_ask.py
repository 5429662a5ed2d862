"""What the page says of an image is what the model does with it."""

import copy
import re
from dataclasses import replace

import pytest
import torch

import dyncore
from dyncore.demo import Answer, Cost, Demonstration, RanBlock
from dyncore.demo._blocks import blocks_html, summary
from dyncore.network import Dial, DialSetting


@torch.no_grad()
def test_an_answer_is_the_models_own(network, picture):
    answer = Demonstration(network).ask(picture)
    output = network(dyncore.transforms(network)(picture)[None])
    expected = dict(zip(network.info.classes, output.logits[0].softmax(0).tolist(), strict=True))
    assert answer.probabilities == pytest.approx(expected, abs=1e-4)
    assert [block.paths for block in answer.blocks] == [
        tuple(decision.on[0].tolist()) for decision in output.path
    ]
    table = dyncore.cost_table(network, (3, 16, 16))
    assert answer.own.macs == int(table.macs(output.path))
    assert answer.static.macs == table.static
    assert answer.own.milliseconds > 0
    assert answer.static.milliseconds > 0


def test_the_dial_turns_a_cascade(cascade, picture):
    shown = Demonstration(cascade)
    least, most, chosen = shown.dial
    assert (least, most, chosen) == pytest.approx((0.8, 1.6, 1.6))
    cheap, dear = shown.ask(picture, least), shown.ask(picture, most)
    assert [block.paths for block in cheap.blocks] == [(True,), (False,)]
    assert [block.paths for block in dear.blocks] == [(True,), (True,)]
    assert cheap.own.macs < dear.own.macs
    assert cheap.static.macs == dear.static.macs


def test_the_dial_turns_a_network(network, picture):
    """Nothing scores above the one threshold, everything above the other."""
    dialled = copy.deepcopy(network)
    rates = {"accuracy": 0.5, "rates": (0.5,) * 9}
    settings = (
        DialSetting(threshold=1e6, cost=1e6, **rates),
        DialSetting(threshold=-1e6, cost=5e6, **rates),
    )
    dial = Dial(images=10, static_cost=4_000_000, tolerance=0.1, settings=settings)
    dialled.info = replace(dialled.info, dial=dial)
    shown = Demonstration(dialled)
    least, most, _ = shown.dial
    assert (least, most) == pytest.approx((0.25, 1.25))
    assert not any(any(block.paths) for block in shown.ask(picture, least).blocks)
    assert all(all(block.paths) for block in shown.ask(picture, most).blocks)


def test_what_is_not_calibrated_has_no_dial(network):
    assert Demonstration(network).dial is None


def test_a_model_that_does_not_know_its_images_is_refused():
    with pytest.raises(ValueError, match="this model has no preprocessing"):
        Demonstration(dyncore.create_model("vanilla-resnet20-cifar"))


def made_up(*blocks: RanBlock) -> Answer:
    return Answer({"cat": 1.0}, blocks, Cost(2_500_000, 1.25), Cost(5_000_000, 5.0))


def test_words_say_what_colours_say():
    blocks = (
        RanBlock("block 1", (True,), decided=False),
        RanBlock("block 2", (True, False), decided=True),
        RanBlock("block 3", (True,), decided=True, channels=0.25),
        RanBlock("block 4", (False,), decided=True, channels=0.5),
    )
    said = summary(blocks)
    assert said == (
        "3 of 4 blocks ran, 3 of 5 paths, and in them 25% of the channels; 1 would for any image."
    )
    text = blocks_html(made_up(*blocks))
    assert 'aria-label="block 2: runs, skipped"' in text
    assert 'aria-label="block 3: runs, 25% of its channels"' in text
    assert re.findall(r"<td>([^<]+)</td>", text) == ["2.5 M", "5 M", "0.50", "1.25", "5", "0.25"]


def test_names_of_strangers_are_text():
    text = blocks_html(made_up(RanBlock('"><script>', (True,), decided=True)))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
