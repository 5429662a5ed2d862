"""Evaluation of a network against single images."""

import pytest
import torch
from accelerate import Accelerator

from dyncore import create_model
from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.gating import ExecutionPath
from dyncore.training import evaluate, relaxation_gap

LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
AS_IS = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=13)
NAMES = ["static", "blend", "n2-basic", "n2-mobilenetv2", "channels-bottleneck"]


def batches(images):
    """Two batches, whose images are not in the order of the split."""
    for index in (torch.tensor([4, 1, 5, 0]), torch.tensor([3, 2])):
        yield Batch(images[index], LABELS[index], index)


@pytest.fixture(params=NAMES)
def evaluated(request, networks, images):
    network = networks[request.param]
    table = cost_table(network, (3, 13, 16))
    return network, table, evaluate(network, batches(images), AS_IS, table, Accelerator())


def test_rows_are_in_the_order_of_the_split(evaluated, images):
    network, _, evaluation = evaluated
    output = network(images)
    assert evaluation.label.tolist() == LABELS.tolist()
    assert evaluation.prediction.tolist() == output.logits.argmax(1).tolist()
    assert evaluation.path.tolist() == output.path.on.tolist()
    if network.config.granularity.channels:
        assert evaluation.channels.tolist() == output.path.channel_on.tolist()
    else:
        assert evaluation.channels is None


def test_macs_are_those_of_each_image_alone(evaluated):
    network, table, evaluation = evaluated
    per_block, channels_per_block = network.paths_per_block, network.channels_per_block
    for image, macs in enumerate(evaluation.macs.tolist()):
        on = torch.from_numpy(evaluation.path[image : image + 1])
        channel_on = None
        if evaluation.channels is not None:
            channel_on = torch.from_numpy(evaluation.channels[image : image + 1])
        path = ExecutionPath.of(on, per_block, channel_on, channels_per_block)
        assert table.macs(path).item() == macs
        if evaluation.parallel_macs is not None:
            parallel = table.macs(path, accounting="parallel").item()
            assert evaluation.parallel_macs[image] == parallel >= macs
    assert evaluation.static_macs == table.static
    gates_channels = network.config.granularity.channels
    assert (evaluation.parallel_macs is not None) == gates_channels
    assert ("parallel_macs_ratio" in evaluation.metrics()) == gates_channels


@pytest.mark.parametrize("classes", [5, 6, 12])
def test_top_5_is_among_the_five_largest_logits(images, classes):
    network = create_model("static-resnet20-cifar", num_classes=classes).double().eval()
    torch.nn.init.normal_(network.backbone.fc.weight)
    table = cost_table(network, (3, 13, 16))
    found = evaluate(network, batches(images), AS_IS, table, Accelerator())
    if classes == 5:
        assert found.in_top5 is None
        assert "top5_accuracy" not in found.metrics()
        return
    above = [
        sum(logit > row[label] for logit in row)
        for row, label in zip(network(images).logits.tolist(), LABELS.tolist(), strict=True)
    ]
    assert found.in_top5.tolist() == [rank < 5 for rank in above]
    assert found.metrics()["top5_accuracy"] == pytest.approx(found.in_top5.mean())
    assert found.metrics()["top5_accuracy"] >= found.accuracy


def test_columns_know_their_block(evaluated):
    network, _, evaluation = evaluated
    blocks = [i for i, paths in enumerate(network.paths_per_block) for _ in range(paths)]
    assert evaluation.blocks.tolist() == blocks
    assert evaluation.gated.tolist() == [str(block) in network.gates for block in blocks]


def test_decisions_are_hard_and_the_model_stays_in_evaluation(networks, images):
    network = networks["blend"]
    table = cost_table(network, (3, 13, 16))
    network.train()
    evaluation = evaluate(network, batches(images), AS_IS, table, Accelerator())
    assert not network.training
    assert (
        evaluation.prediction.tolist() == network(images, relaxed=False).logits.argmax(1).tolist()
    )


def test_relaxation_gap(networks, images):
    network = networks["blend"]
    batch = Batch(images, LABELS, torch.arange(6))
    relaxed, hard = network(images, relaxed=True), network(images, relaxed=False)
    weights, on = relaxed.path.weight.flatten().tolist(), relaxed.path.on.flatten().tolist()
    differences = [abs(w - o) for w, o in zip(weights, on, strict=True)]
    right = [int((output.logits.argmax(1) == LABELS).sum()) for output in (relaxed, hard)]
    assert relaxation_gap(network, batch, AS_IS) == {
        "relaxed_gap": pytest.approx(sum(differences) / len(differences)),
        "relaxed_accuracy_gain": pytest.approx((right[0] - right[1]) / 6),
    }


def test_a_network_that_gates_nothing_has_no_gap(networks, images):
    batch = Batch(images, LABELS, torch.arange(6))
    assert relaxation_gap(networks["static"], batch, AS_IS) == {
        "relaxed_gap": 0.0,
        "relaxed_accuracy_gain": 0.0,
    }
