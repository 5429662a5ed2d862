"""Comparison of a backbone with torchvision's network of the same name."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dyncore.backbones import Backbone


@torch.no_grad()
def _fill(network: nn.Module, images: Tensor) -> None:
    """Seeded weights; norms whose statistics are those of ``images``, so that no signal dies."""
    generator = torch.Generator().manual_seed(0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = module.weight[0].numel() ** -0.5
            module.weight.normal_(0, std, generator=generator)
            if module.bias is not None:
                module.bias.normal_(generator=generator)
    for norm in norms:
        norm.weight.uniform_(0.5, 1.5, generator=generator)
        norm.bias.normal_(0, 0.3, generator=generator)
        norm.num_batches_tracked.zero_()
        norm.running_mean.zero_()
        norm.running_var.zero_()
        norm.momentum = 1.0
    network.train()(images)
    for norm in norms:
        norm.momentum = 0.1


def _agree(
    reference: Callable[[], nn.Module], ours: Callable[[], Backbone], size: int, *, train: bool
) -> None:
    """Same keys, and in float64 the same logits, training-mode logits and running statistics."""
    with torch.device("meta"):
        theirs, mine = reference().double(), ours().double()
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1)).double()
    _fill(theirs.to_empty(device="cpu"), images)
    mine.load_state_dict(theirs.state_dict(), assign=True)
    if train:  # with weights of its own
        mine = _copy(mine)
    expected = theirs.eval()(images)
    assert (expected[0] - expected[1]).abs().max() > 1e-3  # the signal has reached the head
    _close(mine.eval()(images), expected)
    if train:
        logits = []
        for network in (mine, theirs):
            torch.manual_seed(5)  # the same dropout
            logits.append(network.train()(images))
        _close(*logits)
        for name, value in theirs.named_buffers():
            _close(mine.get_buffer(name), value)


def _copy(network: Backbone) -> Backbone:
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.clone()
    return network


def _close(actual: Tensor, expected: Tensor) -> None:
    assert expected.double().abs().max() < 1e3
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)


@pytest.fixture(scope="session")
def agree() -> Callable[..., None]:
    """``agree(theirs, ours, size, train=...)`` compares the networks that the two builders give."""
    return _agree
