"""The plain block in training: what autograd offers for torch's own modules it offers here."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from dyncore.gating import Choice, Decision


def decide(images: int, paths: int) -> torch.Tensor:
    return torch.linspace(0.1, 0.9, images * paths, dtype=torch.float64).reshape(images, paths)


@pytest.mark.parametrize(("combine", "paths"), [("additive", 1), ("additive", 2), ("blend", 1)])
def test_second_derivatives(make_block, x, combine, paths):
    block = make_block(combine=combine, paths=paths).train()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0  # so that running twice gives the same
    weight = decide(2, paths).requires_grad_()

    def run(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return block(x, Decision(Choice(weight > 0.5, weight)))

    inputs = (x[:2, :, :2, :2].clone().requires_grad_(), weight)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize(("combine", "paths"), [("additive", 2), ("blend", 1)])
def test_gradients_of_single_images_by_torch_func(make_block, x, combine, paths):
    block = make_block("projection", combine=combine, paths=paths)
    values, weight = dict(block.named_parameters()), decide(len(x), paths)

    def loss(values: dict[str, torch.Tensor], image: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        decision = Decision(Choice(w[None] > 0.5, w[None]))
        return functional_call(block, values, (image[None], decision)).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0, 0))(values, x, weight)

    for n in range(len(x)):
        block.zero_grad()
        loss(values, x[n], weight[n]).backward()
        for name, parameter in block.named_parameters():
            torch.testing.assert_close(found[name][n], parameter.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("paths", [1, 2])
def test_frozen_statistics_stay_what_they_are(make_block, x, paths):
    block = make_block(form="bottleneck", paths=paths).train()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    before = {name: buffer.clone() for name, buffer in block.named_buffers()}
    weight = decide(len(x), paths)

    out = block(x, Decision(Choice(weight > 0.5, weight)))

    assert out.equal(block.eval()(x, Decision(Choice(weight > 0.5, weight))))
    assert all(buffer.equal(before[name]) for name, buffer in block.named_buffers())
