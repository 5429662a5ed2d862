"""What the trainer does with a phase's paths and objective."""

import copy

import pytest
import torch

from dyncore.network import Output
from dyncore.objectives import ExecutionRateConfig
from dyncore.recipes import SGD, Annealing, Phase
from dyncore.training import RunOptions, draw_decisions
from dyncore.training._trainer import Trainer

WARM_UP = Phase(name="warm-up", epochs=1.0, paths="uniform", objective=("classification",))


def run(recipe, folder, **options) -> tuple[Trainer, dict[str, torch.Tensor], list[Output]]:
    """The trainer after its run, the state before it, and what the network gave in training."""
    trainer = Trainer(recipe, RunOptions(output=str(folder), **options))
    before = copy.deepcopy(trainer.model.state_dict())
    outputs: list[Output] = []

    def note(model, _images, output):
        if model.training:
            outputs.append(output)

    trainer.model.register_forward_hook(note)
    trainer.run()
    return trainer, before, outputs


@pytest.fixture(scope="module")
def warm_up(vanilla, tmp_path_factory):
    recipe = vanilla(phases=(WARM_UP,), optimizer=SGD(learning_rate=0.05, weight_decay=0.01))
    return run(recipe, tmp_path_factory.mktemp("warm-up"))


def test_warm_up_trains_blocks_and_leaves_routers_and_gates_alone(warm_up):
    trainer, before, _ = warm_up
    assert any(name.startswith("routers.") for name in before)
    for name, after in trainer.model.state_dict().items():
        kept = name.startswith(("routers.", "gates."))
        assert torch.equal(after, before[name]) == kept, name


def test_warm_up_takes_every_path_of_its_own_with_rate_one_half(warm_up):
    trainer, _, outputs = warm_up
    assert len(outputs) == 5
    for output in outputs:
        assert output.router_features == [None, None]  # no router runs
        assert {tuple(row) for row in output.path.on.tolist()} == {
            (first, second) for first in (False, True) for second in (False, True)
        }
        assert torch.equal(output.path.weight, output.path.on.float())
    on = torch.cat([output.path.on for output in outputs]).float()
    sigma = 0.5 / on.numel() ** 0.5
    assert abs(on.mean().item() - 0.5) < 4 * sigma
    assert not torch.equal(outputs[0].path.on, outputs[1].path.on)
    assert trainer.table.macs(outputs[0].path).unique().numel() == 4


def test_warm_up_is_followed_by_routed_training_of_everything(vanilla, tmp_path):
    trainer, before, outputs = run(
        vanilla(phases=(WARM_UP, Phase(name="train", epochs=1.0))), tmp_path
    )
    assert [output.router_features[0] is None for output in outputs] == [True] * 5 + [False] * 5
    gates = [name for name in before if name.startswith("gates.")]
    after = trainer.model.state_dict()
    assert [name for name in gates if torch.equal(after[name], before[name])] == []
    weight = outputs[-1].path.weight
    assert ((weight > 0) & (weight < 1)).any()  # relaxed, with noise


def test_gates_are_annealed(vanilla, tmp_path):
    annealing = Annealing(start=4.0, end=1.0, until=0.4)
    recipe = vanilla(phases=(Phase(name="train", epochs=1.0, annealing=annealing),))
    trainer = Trainer(recipe, RunOptions(output=str(tmp_path)))
    seen = []
    trainer.model.register_forward_pre_hook(
        lambda model, _: seen.append([gate.temperature.item() for gate in model.gates.values()])
    )
    trainer.run()
    assert seen[:5] == [[4.0] * 2, [2.0] * 2, [1.0] * 2, [1.0] * 2, [1.0] * 2]


def test_noise_fades(vanilla, tmp_path):
    phase = Phase(name="train", epochs=1.0, annealing=Annealing(until=0.4, fade=0.0))
    recipe = vanilla(phases=(phase,))
    trainer, _, outputs = run(recipe, tmp_path)
    for step, factor in enumerate((1.0, 0.5, 0.0, 0.0, 0.0)):
        where = {"seed": 0, "step": step, "batch": recipe.batch_size, "share": slice(None)}
        drawn, _ = draw_decisions(trainer.model, phase, **where)
        torch.testing.assert_close(outputs[step].noise, factor * drawn)


def test_an_objective_part_that_is_left_out_has_no_say(vanilla, tmp_path):
    """With the classification loss alone the target of the rate makes no difference."""
    states = []
    for target in (0.0, 1.0):
        objective = vanilla().objective | {"rate": ExecutionRateConfig(target=target)}
        phase = Phase(name="train", epochs=1.0, objective=("classification",))
        recipe = vanilla(phases=(phase,), objective=objective)
        trainer, _, _ = run(recipe, tmp_path / str(target))
        states.append(trainer.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
