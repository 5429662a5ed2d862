import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dyncore.gating import GumbelSoftmaxGateConfig, StraightThroughGateConfig, TwoLogitGate

PATHS, FEATURES, IMAGES = 3, 5, 7
CONFIGS = [GumbelSoftmaxGateConfig, StraightThroughGateConfig]


def gate_of(config, *, keep_one=False, paths=PATHS) -> TwoLogitGate:
    torch.manual_seed(0)
    return config.build(FEATURES, paths=paths, channels=0, keep_one=keep_one).double()


def feature_and_noise() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    feature = torch.randn(IMAGES, FEATURES, generator=generator, dtype=torch.float64)
    return feature, torch.randn(IMAGES, PATHS, 2, generator=generator, dtype=torch.float64)


def softmax_of(gate: TwoLogitGate, feature: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """RDI-Net Eq. 8 as printed: entry 1 of softmax((FC + G) / τ)."""
    logits = (feature @ gate.head.weight.T + gate.head.bias).reshape(IMAGES, PATHS, 2)
    exponentials = torch.exp((logits + noise) / temperature)
    return exponentials[..., 1] / exponentials.sum(-1)


def gate_with_logits(off: list[float], on: list[float], *, keep_one: bool) -> TwoLogitGate:
    gate = gate_of(StraightThroughGateConfig(), keep_one=keep_one, paths=len(on))
    with torch.no_grad():
        gate.head.weight.zero_()
        gate.head.bias.copy_(torch.tensor([off, on], dtype=torch.float64).T.flatten())
    return gate


@pytest.mark.parametrize("temperature", [0.25, 1.0, 2.5])
def test_relaxed_weight_and_gradient_are_the_softmax(temperature):
    gate = gate_of(GumbelSoftmaxGateConfig(temperature=temperature))
    feature, noise = feature_and_noise()
    upstream = torch.linspace(-1, 2, IMAGES * PATHS, dtype=torch.float64).reshape(IMAGES, PATHS)

    weight = gate(feature, noise, relaxed=True).weight
    expected = softmax_of(gate, feature, noise, temperature)
    gradients = torch.autograd.grad((weight * upstream).sum(), gate.parameters())
    expected_gradients = torch.autograd.grad((expected * upstream).sum(), gate.parameters())

    torch.testing.assert_close(weight, expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-12, atol=1e-14)


def test_straight_through_is_hard_forward_and_softmax_backward():
    temperature = 0.625
    gate = gate_of(StraightThroughGateConfig(temperature=temperature))
    feature, noise = feature_and_noise()

    decision = gate(feature, noise, relaxed=True)
    soft = softmax_of(gate, feature, noise, temperature)
    gradients = torch.autograd.grad(decision.weight.square().sum(), gate.parameters())
    by_hand = torch.autograd.grad((2 * decision.on * soft).sum(), gate.parameters())

    assert decision.weight.equal(decision.on.double())
    assert decision.on.equal(soft > 0.5)
    assert decision.on.any()
    assert not decision.on.all()
    torch.testing.assert_close(gradients, by_hand, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("config", CONFIGS)
def test_noise_free_is_evaluations_decision_with_the_on_probabilitys_gradient(config):
    gate = gate_of(config(temperature=0.25))
    feature, noise = feature_and_noise()

    decision = gate(feature, noise, relaxed=True)

    hard = gate(feature, relaxed=False)
    assert decision.training.paths.equal(hard.weight)
    assert not decision.on.equal(hard.on)
    probability = softmax_of(gate, feature, torch.zeros_like(noise), 1.0)
    torch.testing.assert_close(
        torch.autograd.grad(decision.training.paths.square().sum(), gate.parameters()),
        torch.autograd.grad((2 * hard.weight * probability).sum(), gate.parameters()),
        rtol=1e-12,
        atol=1e-14,
    )
    off, on = gate.head(feature).unflatten(1, (-1, 2)).unbind(2)
    torch.testing.assert_close(decision.training.margin, on - off)
    assert hard.training is None


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_annealing_multiplies_the_configured_temperature(config, temperature):
    gate = gate_of(config(temperature=temperature))
    feature, noise = feature_and_noise()

    for factor in (0.125, 4.0, 1.0):
        gate.anneal(factor)
        probability = softmax_of(gate, feature, noise, temperature * factor)
        weight = gate(feature, noise, relaxed=True).weight
        gradients = torch.autograd.grad(weight.sum(), gate.parameters())
        expected = torch.autograd.grad(probability.sum(), gate.parameters())
        torch.testing.assert_close(gradients, expected, rtol=1e-10, atol=1e-12)
    assert "temperature" not in gate.state_dict()


@given(st.floats(-20, 20, width=32), st.floats(-20, 20, width=32))
def test_straight_through_forward_is_exactly_zero_or_one(off, on):
    gate = gate_with_logits([off], [on], keep_one=False).float()

    weight = gate(torch.zeros(1, FEATURES), relaxed=True).weight

    assert weight.item() == float(on > off)


@pytest.mark.parametrize("config", CONFIGS)
def test_hard_decision_is_the_argmax_of_the_noisy_logits(config):
    gate = gate_of(config(temperature=0.2))
    feature, noise = feature_and_noise()
    logits = gate.head(feature).reshape(IMAGES, PATHS, 2)

    for added in (None, noise):
        decision = gate(feature, added, relaxed=False)
        expected = (logits if added is None else logits + added).argmax(-1) == 1
        assert decision.on.equal(expected)
        assert decision.weight.equal(expected.double())
        assert not decision.weight.requires_grad


def test_noise_changes_decisions():
    gate = gate_of(StraightThroughGateConfig())
    feature, noise = feature_and_noise()

    assert not gate(feature, noise, relaxed=False).on.equal(gate(feature, relaxed=False).on)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=5))
def test_keep_one_adds_only_the_best_path_and_only_where_all_are_off(logits):
    off, on = map(list, zip(*logits, strict=True))
    feature = torch.zeros(1, FEATURES, dtype=torch.float64)

    free = gate_with_logits(off, on, keep_one=False)(feature, relaxed=False)
    kept = gate_with_logits(off, on, keep_one=True)(feature, relaxed=False)

    margins = [b - a for a, b in logits]
    if max(margins) > 0:
        assert kept.on.equal(free.on)
    else:
        assert kept.on.sum() == 1
        assert margins[kept.on[0].int().argmax()] == max(margins)
    assert kept.weight.equal(kept.on.double())


def test_kept_path_has_weight_one_and_a_gradient_in_training():
    gate = gate_with_logits([1.0, 1.0], [-3.0, -2.0], keep_one=True)

    decision = gate(torch.zeros(4, FEATURES, dtype=torch.float64), relaxed=True)
    decision.weight[:, 1].sum().backward()

    assert decision.weight.tolist() == [[0.0, 1.0]] * 4
    assert gate.head.bias.grad[3] > 0


def test_half_precision_feature_gives_float32_decisions():
    gate = gate_of(GumbelSoftmaxGateConfig()).bfloat16()
    feature, noise = feature_and_noise()

    relaxed = gate(feature.bfloat16(), noise.float(), relaxed=True)
    hard = gate(feature.bfloat16(), relaxed=False)

    assert relaxed.weight.dtype == hard.weight.dtype == torch.float32
    probability = gate.head(feature.bfloat16()).float().reshape(IMAGES, PATHS, 2) + noise.float()
    torch.testing.assert_close(relaxed.weight, nn.functional.softmax(probability, -1)[..., 1])


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(config, temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        config(temperature=temperature)


@pytest.mark.parametrize("config", CONFIGS)
def test_channels_are_refused_with_a_way_out(config):
    with pytest.raises(ValueError, match=rf"'{config.name}'.*granularity.channels.*'relu1'"):
        config().build(4, paths=1, channels=8, keep_one=False)


@pytest.mark.parametrize("config", CONFIGS)
def test_biases_of_the_off_and_on_logits_start_where_they_are_set(config):
    gate = gate_of(config(initial_biases=(0.25, 2.0)))
    feature = torch.zeros(IMAGES, FEATURES, dtype=torch.float64)
    logits = gate.head(feature).unflatten(1, (-1, 2))
    assert logits[0].tolist() == [[0.25, 2.0]] * PATHS
    default = gate_of(config()).head.bias
    torch.manual_seed(0)
    assert torch.equal(default, nn.Linear(FEATURES, 2 * PATHS).bias.double())
    with pytest.raises(ValueError, match="initial_biases must be two numbers"):
        config(initial_biases=(0.0, float("nan")))
