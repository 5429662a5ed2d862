"""Noise and warm-up paths depend on seed, step and place in the global batch alone."""

import pytest
import torch

from dyncore.recipes import Phase
from dyncore.training import draw_decisions
from dyncore.training._random import (
    draw_noise,
    draw_uniform_paths,
    paths_of_test,
    seed_modules,
)

ROUTED = Phase(name="train", epochs=1.0)
UNIFORM = Phase(name="warm-up", epochs=1.0, paths="uniform")
DRAWS = pytest.mark.parametrize("draw", [draw_noise, draw_uniform_paths])


@DRAWS
def test_shares_make_up_the_global_batch(networks, draw):
    model = networks["n2-basic"]
    whole = draw(model, seed=1, step=5, batch=8, share=slice(0, 8))
    shares = [draw(model, seed=1, step=5, batch=8, share=slice(i, i + 2)) for i in (0, 2, 4, 6)]
    assert torch.equal(torch.cat(shares), whole)


@DRAWS
def test_seed_and_step_change_the_draw(networks, draw):
    model = networks["n2-basic"]
    keys = [(1, 5), (1, 6), (2, 5), (5, 1)]
    draws = [draw(model, seed=s, step=t, batch=8, share=slice(0, 8)) for s, t in keys]
    again = draw(model, seed=1, step=5, batch=8, share=slice(0, 8))
    assert torch.equal(draws[0], again)
    for i in range(len(draws)):
        for j in range(i):
            assert not torch.equal(draws[i], draws[j])


@DRAWS
def test_the_global_generator_is_left_alone(networks, draw):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draw(networks["n2-basic"], seed=1, step=5, batch=8, share=slice(0, 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_uniform_paths_are_fair_coins_per_image_and_path(networks):
    model = networks["n2-basic"]  # every block has a shortcut
    on = draw_uniform_paths(model, seed=0, step=0, batch=4000, share=slice(0, 4000)).double()
    sigma = 0.5 / 4000**0.5
    assert (on.mean(0) - 0.5).abs().max() < 5 * sigma
    correlation = torch.corrcoef(on.T) - torch.eye(on.shape[1])
    assert correlation.abs().max() < 5 * 2 * sigma
    assert len({tuple(row) for row in on.tolist()}) == 2 ** on.shape[1]


def test_random_paths_have_their_rates(networks):
    model = networks["n2-basic"]
    rates = torch.linspace(0, 1, sum(model.paths_per_block)).tolist()
    where = {"seed": 0, "step": 0, "batch": 4000, "share": slice(0, 4000)}
    on = draw_uniform_paths(model, **where, rates=tuple(rates)).double()
    assert (on.mean(0) - torch.tensor(rates)).abs().max() < 5 * 0.5 / 4000**0.5
    index = torch.arange(512, 1024)
    first, again = (paths_of_test(model, tuple(rates), index) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, paths_of_test(model, tuple(rates), index - 512))


def test_a_block_without_a_shortcut_keeps_a_path(networks):
    model = networks["n2-mobilenetv2"]
    on = draw_uniform_paths(model, seed=0, step=0, batch=64, share=slice(0, 64))
    columns = on.split(model.paths_per_block, dim=1)
    for block, columns_of_block in zip(model.backbone.blocks, columns, strict=True):
        assert columns_of_block.any(1).all() == (block.downsample is None)


def test_what_a_phase_draws(networks):
    where = {"seed": 1, "step": 5, "batch": 8, "share": slice(2, 6)}
    gaussian, relu1 = networks["n2-basic"], networks["salience"]
    noise, on = draw_decisions(gaussian, ROUTED, **where)
    assert on is None
    assert torch.equal(noise, draw_noise(gaussian, **where))
    noise, on = draw_decisions(gaussian, UNIFORM, **where)
    assert noise is None
    assert torch.equal(on, draw_uniform_paths(gaussian, **where))
    assert draw_decisions(relu1, ROUTED, **where) == (None, None)  # this gate takes no noise
    for phase in (ROUTED, UNIFORM):
        assert draw_decisions(networks["static"], phase, **where) == (None, None)


def test_dropout_depends_on_seed_step_and_process():
    def dropped(*key: int) -> torch.Tensor:
        seed_modules(*key)
        return torch.nn.functional.dropout(torch.ones(64))

    first, *others = [dropped(*key) for key in [(0, 5, 0), (1, 5, 0), (0, 6, 0), (0, 5, 1)]]
    assert torch.equal(dropped(0, 5, 0), first)
    for other in others:
        assert not torch.equal(other, first)
