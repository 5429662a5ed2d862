"""Feature evolution against Eq. 9 and 10 written as a loop, for every strategy of Table 5."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dyn_spnet import EvolutionConfig, SlowProgressConfig, evolution_loss, feature_chains
from dyncore import DynamicNetwork, Output

STAGES = [[0, 1, 2], [3, 4, 5, 6], [7, 8, 9]]


def by_the_equations(chain: list[np.ndarray]) -> float:
    """Half the sum of 1 - cos over consecutive changes, mean over the images."""
    total, images = 0.0, len(chain[0])
    for image in range(images):
        for m in range(len(chain) - 2):
            later = chain[m + 2][image] - chain[m + 1][image]
            earlier = chain[m + 1][image] - chain[m][image]
            norms = np.linalg.norm(later) * np.linalg.norm(earlier)
            total += 0.5 * (1 - later @ earlier / norms)
    return total / images


def block_ends(model: DynamicNetwork, images: Tensor) -> tuple[Output, list[np.ndarray]]:
    """The output, and the average over space of what every block gave."""
    ends: list[np.ndarray] = []
    hooks = [
        block.register_forward_hook(
            lambda _block, _x, end: ends.append(end.detach().numpy().mean((2, 3)))
        )
        for block in model.backbone.blocks
    ]
    output = model(images)
    for hook in hooks:
        hook.remove()
    return output, ends


def aligned(exits, stage: int, x: np.ndarray) -> np.ndarray:
    if stage == 2:
        return x
    weight, bias = (p.detach().numpy() for p in exits.align[stage].parameters())
    return x @ weight.T + bias


@pytest.mark.parametrize("strategy", ["stages", "resolution", "blocks"])
def test_evolution_is_eq_10(model, images, batch, build, strategy):
    config = SlowProgressConfig(evolution=EvolutionConfig(strategy=strategy, weight=0.3))
    part = build(model, config)
    output, ends = block_ends(model, images)
    if strategy == "stages":
        chains = [[aligned(part.exits, s, ends[stage[-1]]) for s, stage in enumerate(STAGES)]]
    elif strategy == "resolution":
        chains = [[ends[block] for block in stage] for stage in STAGES]
    else:
        chains = [
            [aligned(part.exits, s, ends[b]) for s, stage in enumerate(STAGES) for b in stage]
        ]
    expected = sum(by_the_equations(chain) for chain in chains)
    assert expected > 0.1
    terms = part(batch, output)
    assert terms["evolution"].item() == pytest.approx(0.3 * expected, rel=1e-9)


def test_how_many_angles_a_strategy_has(model, output, build):
    """K - 2 = 1 angle over three stages, blocks - 2 over any other chain."""
    exits = build(model, SlowProgressConfig()).exits
    lengths = {
        strategy: [len(chain) for chain in feature_chains(output, strategy, STAGES, exits)]
        for strategy in ("stages", "resolution", "blocks")
    }
    assert lengths == {"stages": [3], "resolution": [3, 4, 3], "blocks": [10]}


def test_straight_ahead_is_free_and_turning_back_costs_one_per_angle():
    step = torch.tensor([[0.3, -1.2, 0.5]], dtype=torch.float64)
    straight = torch.stack([step * k for k in (0.0, 1.0, 2.5, 2.6)])
    assert evolution_loss(straight).item() == pytest.approx(0.0, abs=1e-12)
    zigzag = torch.stack([step * k for k in (0.0, 1.0, 0.5, 2.0)])
    assert evolution_loss(zigzag).item() == pytest.approx(2.0)


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_than_three_steps_have_no_angle(steps):
    features = torch.ones(steps, 2, 3, requires_grad=True)
    loss = evolution_loss(features)
    loss.backward()
    assert loss.item() == 0.0


def test_a_block_that_changes_nothing_has_a_bounded_gradient():
    features = torch.zeros(4, 2, 3)
    features[2:] = torch.tensor([0.1, 0.2, 0.3])
    features.requires_grad_()
    loss = evolution_loss(features)
    assert loss.item() == pytest.approx(1.0)  # both angles are right ones
    loss.backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().max() <= 1e4


def test_gradient_is_the_derivative():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(evolution_loss, features)


def test_alignments_need_exits():
    for strategy in ("stages", "blocks"):
        with pytest.raises(ValueError, match="by the alignment layers of the exits: turn exits on"):
            SlowProgressConfig(exits=False, evolution=EvolutionConfig(strategy=strategy))
    SlowProgressConfig(exits=False, evolution=EvolutionConfig(strategy="resolution"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": -1e-4}, "weight must be finite and not negative, not -0.0001"),
        ({"weight": float("inf")}, "weight must be finite and not negative, not inf"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        EvolutionConfig(**fields)
