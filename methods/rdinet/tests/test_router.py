"""The relational router against Eq. 5-7 written as loops."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dyn_rdinet import RelationalRouterConfig
from dyncore.gating import (
    Router,
    RouterConfig,
    RouterState,
    RouterWeights,
    ShortRangeRouterConfig,
)

CHANNELS = (3, 3, 5, 5, 5, 8, 8, 8, 8)
DIM, BATCH = 6, 4


def chain(config: RouterConfig) -> list[Router]:
    torch.manual_seed(0)
    routers = [config.build(channels, index) for index, channels in enumerate(CHANNELS)]
    for router in routers:
        if isinstance(router.norm, nn.BatchNorm1d):
            nn.init.uniform_(router.norm.running_mean, -1.0, 0.0)
            nn.init.uniform_(router.norm.running_var, 0.2, 1.5)
    return [router.double().eval() for router in routers]


def pooled() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(BATCH, c, generator=generator, dtype=torch.float64) for c in CHANNELS]


def run(routers: list[Router], inputs: list[Tensor]) -> list[Tensor]:
    state: RouterState = ()
    features = []
    for router, x in zip(routers, inputs, strict=True):
        feature, state = router(x, state)
        features.append(feature)
    return features


def normed(norm: nn.Module, x: np.ndarray) -> np.ndarray:
    if isinstance(norm, nn.Identity):
        return x
    scaled = (x - norm.running_mean.numpy()) / np.sqrt(norm.running_var.numpy() + norm.eps)
    return scaled * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def by_the_equations(routers, inputs, r, edge) -> list[np.ndarray]:
    """Image by image: the stacked S_n, the matrix A transposed, and the last row."""
    features: list[list[np.ndarray]] = []
    for router, x in zip(routers, inputs, strict=True):
        w0, w1 = (p.detach().numpy() for p in (router.align.weight, router.mix.weight))
        b0 = np.zeros(DIM) if router.align.bias is None else router.align.bias.detach().numpy()
        rows = []
        for image in range(BATCH):
            aligned = np.maximum(normed(router.norm, w0 @ x[image].numpy() + b0), 0)
            predecessors = [block[image] for block in features][max(0, len(features) - r) :]
            stacked = np.stack([*predecessors, aligned])
            nodes = len(stacked)
            adjacency = np.zeros((nodes, nodes))
            for m in range(nodes):
                for n in range(m, nodes):
                    adjacency[m, n] = edge(stacked, m, n)
            rows.append(np.maximum(adjacency.T @ stacked @ w1.T, 0)[-1])
        features.append(rows)
    return [np.stack(rows) for rows in features]


def decay_edge(gamma):
    return lambda stacked, m, n: 1.0 if m == n else gamma ** (n - m)


def cosine_edge(stacked, m, n):
    product = np.linalg.norm(stacked[m]) * np.linalg.norm(stacked[n])
    return stacked[m] @ stacked[n] / product if product else 0.0


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("history", [0, 1, 2, 6, 20])
@pytest.mark.parametrize("decay", [0.0, 0.25, 0.5, 1.0])
def test_decay_aggregation_is_eq_7(history, decay, norm):
    routers = chain(RelationalRouterConfig(dim=DIM, history=history, decay=decay, norm=norm))
    expected = by_the_equations(routers, pooled(), history, decay_edge(decay))
    for feature, values in zip(run(routers, pooled()), expected, strict=True):
        np.testing.assert_allclose(feature.detach().numpy(), values, rtol=0, atol=1e-13)


@pytest.mark.parametrize("history", [0, 1, 6])
def test_auto_edges_are_cosine_similarities(history):
    routers = chain(RelationalRouterConfig(dim=DIM, history=history, edges="cosine"))
    expected = by_the_equations(routers, pooled(), history, cosine_edge)
    for feature, values in zip(run(routers, pooled()), expected, strict=True):
        np.testing.assert_allclose(feature.detach().numpy(), values, rtol=0, atol=1e-13)


def test_history_matters():
    """The parity tests below could not fail if no history ever reached a router."""
    relational = run(chain(RelationalRouterConfig(dim=DIM)), pooled())
    short_range = run(chain(ShortRangeRouterConfig(dim=DIM)), pooled())
    assert torch.equal(relational[0], short_range[0])
    for with_history, without in zip(relational[1:], short_range[1:], strict=True):
        assert not torch.allclose(with_history, without)


@pytest.mark.parametrize(
    "config",
    [
        RelationalRouterConfig(dim=DIM, decay=0.0),
        RelationalRouterConfig(dim=DIM, history=0),
        RelationalRouterConfig(dim=DIM, history=0, edges="cosine"),
    ],
)
def test_without_relations_it_is_the_short_range_router(config):
    routers, short_range = chain(config), chain(ShortRangeRouterConfig(dim=DIM))
    for router, other in zip(routers, short_range, strict=True):
        router.load_state_dict(other.state_dict())
    for feature, other in zip(run(routers, pooled()), run(short_range, pooled()), strict=True):
        assert torch.equal(feature, other)


@pytest.mark.parametrize("history", [0, 1, 3])
def test_state_is_the_last_features_newest_last(history):
    routers = chain(RelationalRouterConfig(dim=DIM, history=history))
    state: RouterState = ()
    seen: list[Tensor] = []
    for router, x in zip(routers, pooled(), strict=True):
        feature, state = router(x, state)
        seen.append(feature)
        expected = seen[max(0, len(seen) - history) :]
        assert len(state) == len(expected)
        assert all(kept is feature for kept, feature in zip(state, expected, strict=True))


@pytest.mark.parametrize("edges", ["decay", "cosine"])
def test_gradients_reach_every_predecessor(edges):
    torch.manual_seed(2)
    router = RelationalRouterConfig(dim=DIM, history=2, decay=0.5, edges=edges).build(4, 3)
    router.double()
    state = tuple(torch.rand(BATCH, DIM, dtype=torch.float64, requires_grad=True) for _ in "ab")
    x = torch.rand(BATCH, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *inputs: router(inputs[0], inputs[1:])[0], (x, *state))
    router(x, state)[0].sum().backward()
    assert all(s.grad is not None and s.grad.abs().sum() > 0 for s in state)


def test_features_of_zeros_have_cosine_zero_and_finite_gradients():
    torch.manual_seed(3)
    router = RelationalRouterConfig(dim=DIM, edges="cosine", norm=False).build(4, 1)
    zeros = torch.zeros(BATCH, DIM, requires_grad=True)
    ones = torch.ones(BATCH, DIM, requires_grad=True)
    x = torch.rand(BATCH, 4, requires_grad=True)
    with torch.no_grad():
        router.align.bias.fill_(-10)  # so that the router's own feature is zero too
    feature, _ = router(x, (zeros, ones))
    assert torch.equal(feature, torch.zeros_like(feature))
    feature.sum().backward()
    for tensor in (zeros, ones, x, *router.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


def test_half_precision_keeps_its_type():
    for edges in ("decay", "cosine"):
        router = RelationalRouterConfig(dim=DIM, edges=edges).build(4, 1).bfloat16()
        state = (torch.rand(BATCH, DIM, dtype=torch.bfloat16),)
        assert router(torch.rand(BATCH, 4, dtype=torch.bfloat16), state)[0].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dim": 0}, "dim must be at least 1, not 0"),
        ({"history": -1}, "history must be at least 0 routers, not -1"),
        ({"decay": 1.5}, r"decay must be in \[0, 1\], not 1.5"),
        ({"decay": float("nan")}, r"decay must be in \[0, 1\], not nan"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        RelationalRouterConfig(**fields)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("history", [0, 1, 6, 20])
@torch.no_grad()
def test_routers_as_weights_are_the_routers(history, norm):
    routers = chain(RelationalRouterConfig(dim=DIM, history=history, decay=0.7, norm=norm))
    state: RouterState = ()
    for router, x, expected in zip(routers, pooled(), run(routers, pooled()), strict=True):
        weights = router.as_weights()
        assert isinstance(weights, RouterWeights)
        feature, state = weights(x, state)
        torch.testing.assert_close(feature, expected, rtol=0, atol=1e-12)


def test_cosine_edges_stay_a_module():
    (router, *_) = chain(RelationalRouterConfig(dim=DIM, edges="cosine", norm=False))
    assert router.as_weights() is None
