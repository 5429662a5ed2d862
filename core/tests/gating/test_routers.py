from statistics import fmean, pvariance

import pytest
import torch
from torch import nn

from dyncore.gating import (
    ContextRouterConfig,
    IdentityRouterConfig,
    ShortRangeRouterConfig,
    StraightThroughGateConfig,
)

CHANNELS = (3, 5, 4)
IMAGES, DIM = 2, 6


def chain(config) -> list[nn.Module]:
    """A router for each of three blocks, in evaluation, with biases and running statistics."""
    torch.manual_seed(0)
    routers = [config.build(c, index).double().eval() for index, c in enumerate(CHANNELS)]
    for router in routers:
        for parameter in router.parameters():
            nn.init.normal_(parameter)
        for name, buffer in router.named_buffers():
            if name.endswith(("mean", "var")):
                nn.init.uniform_(buffer, 0.5, 1.5)
    return routers


def pooled() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(IMAGES, c, generator=generator, dtype=torch.float64) for c in CHANNELS]


def run(routers, inputs) -> list[torch.Tensor]:
    state, features = (), []
    for router, x in zip(routers, inputs, strict=True):
        feature, state = router(x, state)
        features.append(feature)
    return features


def affine(layer, vector: list[float]) -> list[float]:
    """``W x + b`` with plain numbers."""
    bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    return [
        sum(w * x for w, x in zip(row, vector, strict=True)) + b
        for row, b in zip(layer.weight.tolist(), bias, strict=True)
    ]


def normalised(norm, vector: list[float]) -> list[float]:
    """Batch norm in evaluation with plain numbers; or the vector itself."""
    if isinstance(norm, nn.Identity):
        return vector
    columns = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    rows = zip(vector, *(column.tolist() for column in columns), strict=True)
    return [(x - mean) / (var + norm.eps) ** 0.5 * w + b for x, mean, var, w, b in rows]


def relu(vector: list[float]) -> list[float]:
    return [max(value, 0.0) for value in vector]


@pytest.mark.parametrize("norm", [False, True])
def test_context_router_is_the_equation(norm):
    routers, inputs = chain(ContextRouterConfig(dim=DIM, norm=norm)), pooled()

    features = run(routers, inputs)

    for image in range(IMAGES):
        h = None
        for router, x, feature in zip(routers, inputs, features, strict=True):
            v = affine(router.context, x[image].tolist())
            v = relu(normalised(router.norm, v))  # CDB Eq. 5
            if h is None:
                h = v
            else:
                before = relu(affine(router.history, h))
                h = [a + b for a, b in zip(v, before, strict=True)]  # CDB Eq. 6
            assert feature[image].tolist() == pytest.approx(h, abs=1e-12)


def test_first_context_router_has_no_history_weights():
    first, second, third = chain(ContextRouterConfig(dim=DIM, norm=False))

    assert set(first.state_dict()) == {"context.weight", "context.bias"}
    assert set(second.state_dict()) == set(third.state_dict())
    assert second.history.weight.shape == (DIM, DIM)


def test_context_router_without_previous_ignores_the_history():
    routers, inputs = chain(ContextRouterConfig(dim=DIM, previous=False)), pooled()

    features = run(routers, inputs)

    for router, x, feature in zip(routers, inputs, features, strict=True):
        assert feature.equal(router(x, ())[0])
        assert router.history is None


def test_gradient_reaches_earlier_context_routers():
    routers = chain(ContextRouterConfig(dim=DIM))

    run(routers, pooled())[-1].sum().backward()

    assert routers[0].context.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("norm", [False, True])
def test_short_range_router_is_the_equation_and_keeps_no_history(norm):
    routers, inputs = chain(ShortRangeRouterConfig(dim=DIM, norm=norm)), pooled()

    features = run(routers, inputs)

    for router, x, feature in zip(routers, inputs, features, strict=True):
        assert router.mix.bias is None
        for image in range(IMAGES):
            aligned = affine(router.align, x[image].tolist())
            aligned = relu(normalised(router.norm, aligned))
            expected = relu(affine(router.mix, aligned))
            assert feature[image].tolist() == pytest.approx(expected, abs=1e-12)


def test_short_range_router_normalises_the_aligned_features_over_the_batch():
    router, x = chain(ShortRangeRouterConfig(dim=DIM))[0], pooled()[0]

    router.norm.reset_parameters()

    feature, _ = router.train()(x, ())

    aligned = [affine(router.align, row) for row in x.tolist()]
    columns = [
        [(value - fmean(column)) / (pvariance(column) + 1e-5) ** 0.5 for value in column]
        for column in zip(*aligned, strict=True)
    ]
    for image, normed in enumerate(zip(*columns, strict=True)):
        expected = relu(affine(router.mix, relu(list(normed))))
        assert feature[image].tolist() == pytest.approx(expected, abs=1e-12)


def test_identity_router_gives_the_pooled_input():
    routers, inputs = chain(IdentityRouterConfig()), pooled()

    assert all(a.equal(b) for a, b in zip(run(routers, inputs), inputs, strict=True))
    assert [router.out_features for router in routers] == list(CHANNELS)
    assert not any(list(router.parameters()) for router in routers)


@pytest.mark.parametrize("config", [ContextRouterConfig, ShortRangeRouterConfig])
def test_out_features_is_dim_and_dim_must_be_positive(config):
    assert all(router.out_features == DIM for router in chain(config(dim=DIM)))
    with pytest.raises(ValueError, match="dim must be at least 1, not 0"):
        config(dim=0)


@pytest.mark.parametrize(
    "config",
    [
        ContextRouterConfig(norm=True, initial_weights="he"),
        ShortRangeRouterConfig(initial_weights="he"),
    ],
)
def test_no_path_of_a_deep_network_starts_stuck(config):
    """Noise decides at first: every path is on for some images and off for others."""
    torch.manual_seed(0)
    gate_config, state = StraightThroughGateConfig(initial_weights="he"), ()
    for index in range(16):
        router = config.build(64, index)
        gate = gate_config.build(router.out_features, paths=2, channels=0, keep_one=False)
        feature, state = router(torch.randn(256, 64).relu(), state)

        noise = gate_config.draw_noise((256, 2, 2), None, feature.device)
        rate = gate(feature, noise, relaxed=True).on.float().mean(0)

        assert ((rate > 0.02) & (rate < 0.98)).all(), f"block {index}: {rate.tolist()}"


@pytest.mark.parametrize("config", [ContextRouterConfig, ShortRangeRouterConfig])
def test_a_bias_that_the_norm_takes_away_is_not_created(config):
    layer = {ContextRouterConfig: "context", ShortRangeRouterConfig: "align"}[config]
    for norm, old, expected in ((True, False, False), (False, False, True), (True, True, True)):
        router = config(dim=DIM, norm=norm, bias_before_norm=old).build(3, 0)
        assert (getattr(router, layer).bias is not None) == expected


@pytest.mark.parametrize("config", [ContextRouterConfig, ShortRangeRouterConfig])
def test_weights_start_as_torch_makes_them_or_he_normal(config):
    """W2 of a context router is torch's in any case."""
    torch.manual_seed(0)
    routers = {
        start: config(dim=400, initial_weights=start).build(300, 1) for start in ("torch", "he")
    }
    layer = "context" if config is ContextRouterConfig else "align"
    plain, he = (getattr(routers[start], layer).weight for start in ("torch", "he"))
    assert plain.abs().max() <= 300**-0.5
    assert plain.var().item() == pytest.approx(1 / (3 * 300), rel=0.02)
    assert he.var().item() == pytest.approx(2 / 300, rel=0.02)
    if config is ContextRouterConfig:
        history = routers["he"].history.weight
        assert history.var().item() == pytest.approx(1 / (3 * 400), rel=0.02)
