"""Gates that decide nothing any more are named."""

import logging

import pytest
import torch
from torch import nn

from dyncore.cost import BlockCost, CostTable, PathCost
from dyncore.gating import Choice, Decision, ExecutionPath, Relaxation
from dyncore.recipes import Phase
from dyncore.training import RunOptions
from dyncore.training._collapse import CollapseWatch, executed_share
from dyncore.training._trainer import Trainer

LOGGER = "dyncore.training._trainer"


def path(columns: list[list[int]], noise_free: list[list[int]] | None = None) -> ExecutionPath:
    """Blocks of one path; an image per row."""
    weights = None if noise_free is None else torch.tensor(noise_free).float()
    return ExecutionPath(
        tuple(
            Decision(
                Choice.of(on[:, None].bool()),
                training=None if weights is None else Relaxation(weights[:, [block]]),
            )
            for block, on in enumerate(torch.tensor(columns).unbind(1))
        )
    )


def test_the_share_is_what_evaluation_would_run():
    """Noise turns decisions in training, and hides that a gate has none left to make."""
    noisy = [[1, 0], [0, 1]]
    assert executed_share(path(noisy)).tolist() == [0.5, 0.5]
    assert executed_share(path(noisy, [[1, 0], [1, 0]])).tolist() == [1.0, 0.0]


def test_of_gated_channels_the_share_that_is_on_counts():
    on = torch.tensor([[True], [True], [False]])
    channels = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]).bool()
    decision = Decision.of(on, channels)
    expected = (0.75 + 1.0 + 0.0) / 3
    assert executed_share(ExecutionPath((decision,))).item() == pytest.approx(expected)


@pytest.fixture
def watch() -> CollapseWatch:
    """Of a block that is not gated, two gated ones, and a gated one of two paths."""
    one = (PathCost((1,)),)
    blocks = tuple(
        BlockCost(gated=gated, router=0, shortcut=0, paths=paths)
        for gated, paths in ((False, one), (True, one), (True, one), (True, one * 2))
    )
    return CollapseWatch(CostTable(input_size=(3, 8, 8), static=9, stem=1, head=1, blocks=blocks))


def test_one_other_decision_in_an_epoch_is_enough(watch):
    for _ in range(3000):
        watch.add(torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0]))
    assert watch.stuck(watch.mean) == [
        "block 1 on",
        "block 2 off",
        "path 0 of block 3 on",
        "path 1 of block 3 off",
    ]
    watch.add(torch.tensor([1.0, 255 / 256, 1 / 256, 1.0, 0.0]))
    assert watch.stuck(watch.mean) == ["path 0 of block 3 on", "path 1 of block 3 off"]
    watch.reset()
    watch.add(torch.tensor([1.0, 1.0, 0.5, 0.5, 0.5]))
    assert watch.stuck(watch.mean) == ["block 1 on"]


@pytest.mark.parametrize(("bias", "state"), [(50.0, "on"), (-50.0, "off")])
def test_a_run_warns_by_block(vanilla, tmp_path, caplog, bias, state):
    """Of whole epochs: not of the warm-up, nor of the two steps that end the first epoch."""
    trainer = Trainer(vanilla(), RunOptions(output=str(tmp_path)))
    head = trainer.model.gates["1"].head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([-bias, bias]))
    for parameter in head.parameters():
        parameter.register_hook(torch.zeros_like)
    other = trainer.model.gates["0"].head
    assert isinstance(other, nn.Linear)
    with caplog.at_level(logging.WARNING, LOGGER):
        trainer.run()
    warned = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert len(warned) == 2
    for epoch, message in zip((2, 3), warned, strict=True):
        start = f"gates that decided the same for every image of epoch {epoch}: "
        assert message.startswith(start)
        assert f"block 1 {state}" in message


def test_a_static_network_has_no_gates_to_warn_of(static, tmp_path, caplog):
    recipe = static(phases=(Phase(name="train", epochs=2.0),))
    with caplog.at_level(logging.WARNING, LOGGER):
        Trainer(recipe, RunOptions(output=str(tmp_path))).run()
    assert [record for record in caplog.records if record.name == LOGGER] == []
