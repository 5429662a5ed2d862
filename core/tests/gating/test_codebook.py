"""Few paths: one of K codes per image."""

import pytest
import torch
from torch.testing import assert_close

from dyncore.gating import CodebookRouterConfig, GumbelSoftmaxGateConfig

CHANNELS = (3, 5, 4, 4)


def chain(**values):
    torch.manual_seed(0)
    config = CodebookRouterConfig(dim=6, **values)
    return [config.build(c, index).double() for index, c in enumerate(CHANNELS)]


def features(routers, inputs):
    state, found = (), []
    for router, x in zip(routers, inputs, strict=True):
        feature, state = router(x, state)
        found.append(feature)
    return found


def inputs(images: int = 64):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(images, c, generator=generator, dtype=torch.float64) for c in CHANNELS]


@pytest.mark.parametrize("chosen_at", [0, 2])
def test_one_code_per_image_that_all_later_routers_hand_on(chosen_at):
    found = features(chain(size=4, chosen_at=chosen_at), inputs())
    for feature in found[:chosen_at]:
        assert not feature.any()
    code = found[chosen_at]
    assert_close(code.detach().sort(1).values, torch.eye(4).double()[3].expand(64, 4))
    assert all(feature is code for feature in found[chosen_at:])
    assert len(code.argmax(1).unique()) == 4  # normalised over the batch, no code wins for all


def test_at_most_k_paths():
    routers = chain(size=3)
    gates = [
        GumbelSoftmaxGateConfig().build(3, paths=2, channels=0, keep_one=False).double()
        for _ in CHANNELS
    ]
    with torch.no_grad():
        found = features(routers, inputs(500))
        on = [gate(f, relaxed=False).on for gate, f in zip(gates, found, strict=True)]
    assert 1 < len(torch.cat(on, 1).unique(dim=0)) <= 3


def test_the_choice_has_the_gradient_of_the_softmax():
    (router, *_), (x, *_) = chain(size=3), inputs(5)
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(2)).double()
    (router(x, ())[0] * weights).sum().backward()
    found = [parameter.grad.clone() for parameter in router.parameters()]
    router.zero_grad()
    (router.choice(x).softmax(1) * weights).sum().backward()
    for grad, parameter in zip(found, router.parameters(), strict=True):
        assert_close(grad, parameter.grad)
        assert grad.any()


@pytest.mark.parametrize("values", [{"size": 1}, {"dim": 0}, {"chosen_at": -1}])
def test_wrong_values_are_refused(values):
    with pytest.raises(ValueError, match="must be at least"):
        CodebookRouterConfig(**values)
