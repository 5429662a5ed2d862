"""Copied, pickled, compiled and initialised networks."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dyncore.network import DynamicConfig, DynamicNetwork, run_skipped


def test_deepcopy_shares_nothing(network, images):
    expected = network(images).logits

    other = copy.deepcopy(network)
    assert other(images).logits.equal(expected)

    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert network(images).logits.equal(expected)
    assert other(images).logits.eq(0).all()


def test_pickle_round_trip_is_exact(network, images):
    other = pickle.loads(pickle.dumps(network))

    assert other.config == network.config
    assert other(images).logits.equal(network(images).logits)
    assert run_skipped(other, images).logits.equal(run_skipped(network, images).logits)


def test_sync_batch_norm_conversion_keeps_the_outputs(networks, images):
    for name in ("blend-pad", "n3-bottleneck", "channels-basic", "n2-mobilenetv2"):
        converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(networks[name]))

        torch.testing.assert_close(
            run_skipped(converted, images).logits, networks[name](images).logits, rtol=0, atol=1e-9
        )


@pytest.mark.parametrize(
    "name", ["blend", "additive-mobilenetv2", "channels-basic", "channels-bottleneck"]
)
def test_static_weights_load_and_only_routers_and_gates_are_left(build_network, networks, name):
    gated = copy.deepcopy(networks[name])
    static = build_network(DynamicConfig(backbone=gated.config.backbone, num_classes=5), seed=9)

    missing, unexpected = gated.load_state_dict(static.state_dict(), strict=False)

    assert not unexpected
    assert missing
    assert all(key.startswith(("routers.", "gates.")) for key in missing)
    assert all(value.equal(gated.state_dict()[key]) for key, value in static.state_dict().items())


@pytest.mark.parametrize("name", ["blend", "channels-basic", "additive-mobilenetv2"])
def test_gated_network_with_everything_on_is_the_static_one(build_network, networks, images, name):
    gated = networks[name]
    static = DynamicNetwork(DynamicConfig(backbone=gated.config.backbone, num_classes=5)).double()
    weights = {k: v for k, v in gated.state_dict().items() if k.startswith("backbone.")}
    static.load_state_dict(weights)
    path = static.eval()(images).path

    torch.testing.assert_close(
        gated(images, path=path).logits, static(images).logits, rtol=0, atol=1e-12
    )


@pytest.mark.nightly
def test_compiled_networks_are_the_same():
    cases = [
        "blend-pad:relaxed",
        "n2-mobilenetv2:hard",
        "n3-bottleneck:forced",
        "n3-bottleneck:relaxed",
        "channels-basic:hard",
    ]
    script = Path(__file__).with_name("compiled.py")

    run = subprocess.run([sys.executable, script, *cases], capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    for case, difference in json.loads(run.stdout).items():
        assert difference["logits"] <= 1e-12, case
        assert difference["weight"] <= 1e-12, case
        assert difference["on"] == 0, case
