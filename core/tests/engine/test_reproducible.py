"""Two engines of one network give the same bits: nothing that is measured decides what is added."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyncore import Engine
from dyncore.engine.native._picking import max_picked
from dyncore.engine.plan import ActivationKind, BlockPlan


@pytest.mark.parametrize("portable", [False, True], ids=["native", "portable"])
@torch.no_grad()
def test_the_same_bits_from_one_engine_to_the_next(network, images, portable):
    model = copy.deepcopy(network).float()
    batch = torch.cat([images, images.flip(0), images + 0.1]).float()
    threads = 1 if portable else 2
    engines = [Engine(model, batch[:1], threads=threads, portable=portable) for _ in range(2)]
    engines.append(pickle.loads(pickle.dumps(engines[0])))
    for count in (1, 2, 3, 7, len(batch)):
        first, *others = (engine(batch[:count]) for engine in engines)
        again = engines[0](batch[:count])
        for other in (*others, again):
            assert other.logits.equal(first.logits)
            assert other.features.equal(first.features)
            for ours, theirs in zip(other.path, first.path, strict=True):
                for one, two in zip(ours.choices, theirs.choices, strict=True):
                    assert one.on.equal(two.on)
                    assert one.weight.equal(two.weight)


@given(channels=st.integers(1, 2048), side=st.integers(1, 64))
def test_most_channels_may_be_picked_but_never_more_than_there_are(channels, side):
    plan = BlockPlan(
        router=None,
        gate=None,
        scales=True,
        paths=(),
        shortcut=None,
        activation=ActivationKind.RELU,
        channels=channels,
        input_activated=True,
        in_size=(8, side, side),
        out_size=(8, side, side),
    )
    assert channels // 2 <= max_picked(plan) < channels
