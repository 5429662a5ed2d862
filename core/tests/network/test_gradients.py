import torch
import torch.nn.functional as F

from dyncore.network import DynamicNetwork

SUBTRACTED = (".conv.2.bias", ".conv.3.bias")
"""Shifts that the next norm takes away again: of MobileNetV2's linear outputs."""


def test_every_parameter_is_trained(network, images):
    """A finite gradient from each of 8 random batches, and at least one that is not zero."""
    torch.manual_seed(0)
    fresh = DynamicNetwork(network.config).double().train()
    moved = dict.fromkeys(dict(fresh.named_parameters()), False)

    for _ in range(8):
        batch = images + torch.randn_like(images) / 2
        noise = fresh.draw_noise(len(images))
        output = fresh(batch, noise=None if noise is None else noise.double())
        fresh.zero_grad()
        F.cross_entropy(output.logits, torch.randint(5, (len(images),))).backward()
        for name, parameter in fresh.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            moved[name] |= bool(parameter.grad.abs().max() > 1e-12)

    still = [name for name, has_moved in moved.items() if not has_moved]
    assert [name for name in still if not name.endswith(SUBTRACTED)] == []
