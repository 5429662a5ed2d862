"""A step in micro-batches is the step of the whole batch."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dyncore.data import Batch
from dyncore.recipes import Cosine, Phase
from dyncore.training import RunOptions, train
from dyncore.training._accumulate import micro_batches
from dyncore.training._trainer import Trainer
from dyncore.training._update import Updater

COSINE = (Phase(name="train", epochs=2.0, schedule=Cosine()),)


def test_parts_keep_images_labels_rows_noise_and_paths_together():
    rows = torch.arange(6)
    images = rows[:, None, None, None].expand(6, 3, 2, 2).float()
    noise = rows[:, None, None].expand(6, 4, 2).float()
    on = (rows % 2)[:, None].expand(6, 4).bool()
    parts = list(micro_batches(Batch(images, rows + 10, rows), noise, on, 3))
    assert [part.index.tolist() for part, _, _ in parts] == [[0, 1], [2, 3], [4, 5]]
    for part, its_noise, its_on in parts:
        assert torch.equal(part.images[:, 0, 0, 0], part.index.float())
        assert torch.equal(part.labels, part.index + 10)
        assert torch.equal(its_noise[:, 0, 0], part.index.float())
        assert torch.equal(its_on[:, 0], part.index % 2 == 1)
    assert [part[1:] for part in micro_batches(Batch(images, rows, rows), None, None, 2)] == [
        (None, None)
    ] * 2


def gradients(recipe, output, accumulate: int) -> dict[str, torch.Tensor]:
    """Of the first batch, in float64, with the running statistics of norms."""
    trainer = Trainer(recipe, RunOptions(output=str(output), accumulate=accumulate))
    trainer.step_module.double()
    options = trainer.options
    updater = Updater(
        trainer.step_module, trainer.phases[0], trainer.recipe, options, trainer.accelerator
    )
    updater.train()
    for module in trainer.step_module.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.eval()
    batch = next(trainer.train_loader.epoch(0))
    result = updater.backward(Batch(batch.images.double(), batch.labels, batch.index), 0)
    found = {name: p.grad for name, p in trainer.step_module.named_parameters()}
    return found | {"loss": result.loss.detach(), "rate": result.rate, "macs": result.macs_ratio}


@pytest.mark.parametrize("accumulate", [2, 3, 240])
def test_the_gradient_of_a_mean_over_images_is_that_of_the_batch(static, tmp_path, accumulate):
    whole = gradients(static(), tmp_path, 1)
    assert_close(gradients(static(), tmp_path, accumulate), whole, rtol=1e-9, atol=1e-12)
    assert float(whole["model.backbone.fc.weight"].abs().max()) > 1e-3


def test_forced_paths_are_those_of_the_whole_batch(vanilla, tmp_path):
    warm_up = vanilla(phases=vanilla().phases[:1])
    whole, parts = (gradients(warm_up, tmp_path, accumulate) for accumulate in (1, 4))
    trained = [name for name, gradient in whole.items() if gradient is not None]
    assert [name for name, gradient in parts.items() if gradient is not None] == trained
    for name in trained:
        assert_close(parts[name], whole[name], rtol=1e-9, atol=1e-12)


def test_the_schedule_does_not_notice(vanilla, tmp_path, rows):
    runs = [
        train(
            vanilla(phases=COSINE), RunOptions(output=str(tmp_path / str(count)), accumulate=count)
        )
        for count in (1, 4)
    ]
    curves = [
        [(row["step"], row["learning_rate"]) for row in rows(run.folder) if "phase" in row]
        for run in runs
    ]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 10


def test_a_batch_without_equal_parts_is_refused(static, tmp_path):
    with pytest.raises(ValueError, match="accumulate=7: the batch of 240 cannot be divided into 7"):
        train(static(), RunOptions(output=str(tmp_path / "runs"), accumulate=7))
    assert not (tmp_path / "runs").exists()


@pytest.mark.situation(
    "one image per micro-batch under a router's batch norm",
    refused="--accumulate 240 leaves … 1: lower --accumulate",
    under="Data sets of your own",
)
def test_one_image_alone_under_the_routers_norms_names_the_option(vanilla, tmp_path):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - its message is the row's
        Trainer(vanilla(), RunOptions(output=str(tmp_path), accumulate=240))
    with pytest.raises(ValueError, match=r"a batch of 1 .*raise --batch-size"):
        Trainer(vanilla(batch_size=1), RunOptions(output=str(tmp_path)))
    assert not list(tmp_path.iterdir())
    raise refusal.value
