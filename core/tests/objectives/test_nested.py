"""The loss of networks inside of one, against loops."""

from math import exp, log

import pytest
import torch
from torch.testing import assert_close

from dyncore.backbones import ResNetConfig
from dyncore.cost import cost_table
from dyncore.data import Batch
from dyncore.gating import ExecutionPath
from dyncore.network import DynamicConfig, DynamicNetwork, Output, Subnet
from dyncore.objectives import NestedConfig, ObjectivePart


def _log_softmax(logits: list[float], temperature: float = 1.0) -> list[float]:
    scaled = [value / temperature for value in logits]
    total = log(sum(exp(value) for value in scaled))
    return [value - total for value in scaled]


def test_terms_equal_loops_and_the_whole_is_not_taught():
    generator = torch.Generator().manual_seed(0)
    whole, *small = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    for logits in (whole, *small):
        logits.requires_grad_()
    labels = torch.tensor([3, 0, 4, 1])
    config = NestedConfig(cross_entropy=0.3, distillation=0.7, temperature=2.5)
    part = _build(config)
    output = Output(whole, ExecutionPath(()), (), (), nested=tuple(small))
    terms = part(Batch(torch.zeros(4, 3, 2, 2), labels, torch.arange(4)), output)

    errors = distances = 0.0
    for logits in small:
        for mine, theirs, label in zip(
            logits.tolist(), whole.tolist(), labels.tolist(), strict=True
        ):
            errors -= _log_softmax(mine)[label] / 4
            taught, student = _log_softmax(theirs, 2.5), _log_softmax(mine, 2.5)
            pairs = zip(taught, student, strict=True)
            distances += sum(exp(t) * (t - s) for t, s in pairs) * 2.5**2 / 4
    assert_close(terms["nested"], torch.tensor(0.3 * errors, dtype=torch.float64))
    assert_close(terms["distilled"], torch.tensor(0.7 * distances, dtype=torch.float64))
    sum(terms.values()).backward()
    assert whole.grad is None
    assert all(logits.grad.abs().sum() > 0 for logits in small)


def _build(config: NestedConfig) -> ObjectivePart:
    backbone = ResNetConfig(block="basic", depths=(2,), widths=(4,), stem="cifar")
    network = DynamicNetwork(
        DynamicConfig(backbone=backbone, num_classes=5, nested=(Subnet(blocks=(0,)),))
    )
    return config.build(network, cost_table(network, (3, 8, 8)))


def test_what_has_no_subnets_is_refused(networks):
    static = networks["static"]
    with pytest.raises(ValueError, match="network with subnets"):
        NestedConfig().build(static, cost_table(static, (3, 8, 8)))
    output = Output(torch.zeros(1, 5), ExecutionPath(()), (), ())
    part = _build(NestedConfig())
    with pytest.raises(ValueError, match="in training"):
        part(Batch(torch.zeros(1, 3, 2, 2), torch.zeros(1).long(), torch.arange(1)), output)
    with pytest.raises(ValueError, match="temperature must be positive"):
        NestedConfig(temperature=0.0)
    with pytest.raises(ValueError, match="distillation must be"):
        NestedConfig(distillation=-1.0)
