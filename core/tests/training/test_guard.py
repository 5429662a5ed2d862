"""Runs that diverge stop, and what they had stays."""

import math
from signal import SIGTERM

import pytest
import torch

from dyncore.recipes import SGD, Phase
from dyncore.training import DivergedError, RunOptions, StepResult, train
from dyncore.training._checkpoint import checkpoints, damage_of, load_checkpoint
from dyncore.training._guard import LAG, Position, StepGuard, check_state
from dyncore.training._trainer import Trainer

THREE_EPOCHS = (Phase(name="train", epochs=3.0),)


def result(loss: float, device: str = "cpu", **terms: float) -> StepResult:
    value = torch.tensor(loss, device=device)
    parts = {name: torch.tensor(term, device=device) for name, term in terms.items()}
    return StepResult(value, parts, value, value, torch.ones(2, device=device))


def position(step: int, rows: int = 3) -> Position:
    return Position(step, epoch=step // 10, batch=step % 10, rows=torch.arange(rows))


@pytest.fixture
def broken_at(static, tmp_path):
    """A run of 15 steps, five to the epoch, whose batch at ``step`` has pixels of ``value``."""

    def start(step: int, value: float, **options: object) -> Trainer:
        trainer = Trainer(
            static(phases=THREE_EPOCHS),
            RunOptions(output=str(tmp_path), keep_checkpoints=9, **options),
        )
        seen = iter(range(99))

        def spoil(_module: torch.nn.Module, arguments: tuple[object, ...]) -> None:
            if trainer.step_module.training and next(seen) == step:
                arguments[0].images.fill_(value)

        trainer.step_module.register_forward_pre_hook(spoil)
        return trainer

    return start


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_run_stops_at_the_batch(broken_at, value, rows):
    trainer = broken_at(7, value)
    with pytest.raises(DivergedError) as raised:
        trainer.run()
    message = str(raised.value)
    batch = [batch.index for batch in trainer.train_loader.epoch(1)][2]
    first = ", ".join(map(str, batch[:8].tolist()))
    assert "not finite in step 8: batch 2 of epoch 1 (both from 0), here 240 rows" in message
    assert f"({first}, ...): loss nan, classification nan. " in message
    assert "step-00000005 is from before" in message
    assert max(row["step"] for row in rows(trainer.folder)) == 7


def test_the_checkpoints_from_before_are_whole_and_finite(broken_at):
    trainer = broken_at(7, math.nan, checkpoint_every=3)
    with pytest.raises(DivergedError, match="step-00000006 is from before"):
        trainer.run()
    kept = checkpoints(trainer.folder / "checkpoints")
    assert [path.name[-2:] for path in kept] == ["00", "03", "05", "06"]
    for path in kept:
        assert damage_of(path) is None
        check_state(load_checkpoint(path).tensors)


def test_a_run_that_diverges_at_once_has_its_start(broken_at):
    with pytest.raises(DivergedError, match="step-00000000 is from before"):
        broken_at(0, math.nan).run()


def test_a_network_that_is_not_finite_is_not_saved(static, tmp_path):
    """The loss of a step says nothing of its gradient."""
    trainer = Trainer(static(phases=THREE_EPOCHS), RunOptions(output=str(tmp_path)))
    weight = trainer.model.backbone.fc.weight
    seen = iter(range(99))
    weight.register_hook(lambda gradient: gradient * (math.inf if next(seen) == 4 else 1))
    with pytest.raises(DivergedError, match=r"tensors are not finite.*step-00000000 is from"):
        trainer.run()
    assert [p.name for p in checkpoints(trainer.folder / "checkpoints")] == ["step-00000000"]


def test_a_large_learning_rate_is_caught(static, tmp_path):
    recipe = static(phases=THREE_EPOCHS, optimizer=SGD(learning_rate=1e30))
    with pytest.raises(DivergedError, match="not finite"):
        train(recipe, RunOptions(output=str(tmp_path)))


def test_on_a_cpu_the_verdict_comes_with_the_step():
    guard = StepGuard(torch.device("cpu"), processes=1)
    assert guard.see(position(3), result(1.0, a=1.0), None) is None
    assert guard.see(position(4), result(1.0, a=1.0), SIGTERM) == SIGTERM
    with pytest.raises(DivergedError, match=r"in step 6: .*loss inf, a 1, b inf"):
        guard.see(position(5), result(math.inf, a=1.0, b=math.inf), None)


@pytest.mark.needs_gpu
def test_on_a_gpu_the_verdict_comes_some_steps_later_and_nobody_waits():
    guard = StepGuard(torch.device("cuda"), processes=1)
    bad, good = result(math.nan, "cuda", a=math.nan), result(1.0, "cuda", a=1.0)
    where = [position(step) for step in range(LAG + 2)]
    guard.see(where[0], good, SIGTERM)
    torch.cuda.set_sync_debug_mode("error")
    try:
        guard.see(where[1], bad, None)
        for step in range(2, LAG):
            assert guard.see(where[step], good, None) is None
        assert guard.see(where[LAG], good, None) == SIGTERM
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with pytest.raises(DivergedError, match="in step 2: "):
        guard.see(where[LAG + 1], good, None)


@pytest.mark.needs_gpu
def test_before_a_checkpoint_all_verdicts_are_read():
    guard = StepGuard(torch.device("cuda"), processes=1)
    guard.see(position(0), result(math.nan, "cuda", a=math.nan), None)
    with pytest.raises(DivergedError, match="in step 1: "):
        guard.settle()


def test_integers_need_not_be_finite():
    check_state({"count": torch.tensor(3), "weight": torch.ones(2)})
    with pytest.raises(DivergedError, match=r"1 of 1 tensors are not finite.*'weight'"):
        check_state({"count": torch.tensor(3), "weight": torch.tensor([1.0, math.nan])})
