import math

import pytest
import torch

from dyncore.gating import GumbelSoftmaxGateConfig, ReLU1GateConfig, StraightThroughGateConfig

CPU = torch.device("cpu")
GUMBEL = [GumbelSoftmaxGateConfig(), StraightThroughGateConfig()]
GAUSSIAN = StraightThroughGateConfig(noise="gaussian")


def draw(config, shape=(1000, 100, 2), seed=0):
    return config.draw_noise(shape, torch.Generator().manual_seed(seed), CPU)


@pytest.mark.parametrize("config", GUMBEL)
def test_gumbel_noise_follows_its_distribution(config):
    noise = draw(config).double().flatten()

    # With 2e5 draws the mean's standard error is 0.003, the variance's 0.008.
    assert noise.mean() == pytest.approx(0.5772, abs=0.015)
    assert noise.var() == pytest.approx(math.pi**2 / 6, abs=0.04)
    for point in (-1.0, 0.0, 1.0, 3.0):
        below = (noise <= point).double().mean()
        assert below == pytest.approx(math.exp(-math.exp(-point)), abs=0.006)


def test_difference_of_gumbel_draws_is_logistic():
    """What makes argmax of logits plus noise a sample of their softmax."""
    noise = draw(StraightThroughGateConfig()).double()
    margin = noise[..., 1] - noise[..., 0]

    for logit in (-1.0, 0.5, 2.0):
        assert (margin + logit > 0).double().mean() == pytest.approx(
            1 / (1 + math.exp(-logit)), abs=0.006
        )


def test_gaussian_noise_follows_its_distribution():
    noise = draw(GAUSSIAN).double().flatten()

    assert noise.mean() == pytest.approx(0, abs=0.012)
    assert noise.var() == pytest.approx(1, abs=0.016)
    assert (noise <= 1).double().mean() == pytest.approx(0.8413, abs=0.005)


@pytest.mark.parametrize("config", [*GUMBEL, GAUSSIAN])
def test_noise_is_a_function_of_the_generator(config):
    first, again, other = (draw(config, (4, 3, 2), seed) for seed in (5, 5, 6))

    assert first.shape == (4, 3, 2)
    assert first.equal(again)
    assert not first.equal(other)
    assert first.isfinite().all()


@pytest.mark.parametrize("config", [StraightThroughGateConfig(noise="none"), ReLU1GateConfig()])
def test_gates_without_noise_draw_none(config):
    assert draw(config) is None
