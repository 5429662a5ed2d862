"""The norm on the pooled input, and that Eq. 3 and 4 stand in evaluation as they are printed."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dyn_lcnet import PooledNormRouter, PooledNormRouterConfig
from dyncore.gating import ReLU1GateConfig

CHANNELS, BATCH = 5, 7


def pooled() -> Tensor:
    """Features of images, which are never negative and have most in common."""
    generator = torch.Generator().manual_seed(0)
    common = torch.rand(CHANNELS, generator=generator, dtype=torch.float64)
    return common + 0.01 * torch.rand(BATCH, CHANNELS, generator=generator, dtype=torch.float64)


def trained() -> PooledNormRouter:
    torch.manual_seed(1)
    router = PooledNormRouterConfig().build(CHANNELS, 3).double()
    with torch.no_grad():
        for values in router.norm.state_dict().values():
            if values.is_floating_point():
                values.uniform_(0.2, 1.5)
    return router


def test_training_normalises_each_channel_over_the_batch():
    router, x = trained(), pooled()
    state = (torch.zeros(BATCH, 2),)
    feature, after = router.train()(x, state)
    values = x.numpy()
    centred = (values - values.mean(0)) / np.sqrt(values.var(0) + router.norm.eps)
    weight, bias = (p.detach().numpy() for p in (router.norm.weight, router.norm.bias))
    np.testing.assert_allclose(feature.detach().numpy(), centred * weight + bias, atol=1e-12)
    assert after is state


def test_in_evaluation_router_and_gate_are_one_linear_layer_and_relu_1():
    router, x = trained().eval(), pooled()
    gate = ReLU1GateConfig().build(CHANNELS, paths=1, channels=4, keep_one=False).double()
    decision = gate(router(x, ())[0], relaxed=False)
    norm, head = router.norm, gate.head
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = head.weight * scale
    bias = head.bias + head.weight @ (norm.bias - norm.running_mean * scale)
    expected = F.linear(x, weight, bias).clamp(0, 1)
    found = torch.cat([decision.weight, decision.channels.weight], dim=1)
    torch.testing.assert_close(found, expected)


def test_it_tells_images_apart_that_the_pooled_input_does_not():
    """Scores of a fresh gate: the spread over images against the spread over gates."""
    x = pooled()
    torch.manual_seed(2)
    gate = (
        ReLU1GateConfig(initial_bias=1.0)
        .build(CHANNELS, paths=1, channels=400, keep_one=False)
        .double()
    )
    norm = PooledNormRouterConfig().build(CHANNELS, 0).double().train()
    spread = {}
    for name, feature in (("identity", x), ("norm", norm(x, ())[0])):
        scores = gate.head(feature)
        spread[name] = (scores.std(0).mean() / scores.std()).item()
    assert spread["identity"] < 0.05
    assert spread["norm"] > 0.9
