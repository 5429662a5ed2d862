"""Images whose decisions rounding can turn are counted, and compared under the path they took."""

import copy

import pytest
import torch

from dyncore import Engine
from dyncore.engine._comparison import compare
from dyncore.network import DynamicNetwork


@pytest.fixture
def network(networks) -> DynamicNetwork:
    return copy.deepcopy(networks["blend"]).float()


def test_far_from_zero_nothing_differs(network, images):
    engine = Engine(network, images.float(), threads=2, precision="fp32")
    found = engine.compare(images.float())
    assert (found.images, found.other_path, found.eager_other_path) == (len(images), 0, 0)
    assert found.error <= 4 * found.eager_error + 1e-6
    assert str(found).startswith(f"{len(images)} images; on another path than in float64: 0 ")


@torch.no_grad()
def test_a_decision_that_rounding_turns_is_counted_and_its_image_compared(network, images):
    gate = next(iter(network.gates.values()))
    engine = Engine(network, images.float(), threads=1, precision="fp32")
    true = network.double()(images)
    feature = true.router_features[0]
    margin = torch.nn.functional.linear(feature[:1], gate.head.weight, gate.head.bias)
    margin = float(margin[0, 1] - margin[0, 0])
    exact = copy.deepcopy(network)
    next(iter(exact.gates.values())).head.bias[1] -= margin * (1 + 1e-3)

    # The engine keeps the score as it was: it decides otherwise than `exact`, for that image.
    found = compare(network.float(), exact, images.float(), engine(images.float()))
    turned = exact(images).path[0].on[0].equal(~true.path[0].on[0])
    assert turned
    assert found.other_path >= 1
    assert found.other_path == found.eager_other_path
    assert found.error < 1e-4, "under the path that it took the logits agree"
