"""20 steps of every method in float64: ``trained_by_processes.py OUTPUT``, alone or by torchrun.

Each recipe runs on a network of a few narrow blocks, on digits. Norms keep their running
statistics, which several processes do not share. Everything else is the trainer's: augmentation,
noise, warm-up, schedule, the losses over the global batch, teachers. The checkpoint of the last
step and the metrics are what is compared.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Tensor, nn

from dyncore.backbones import ResNetConfig
from dyncore.data import Batch, Loader
from dyncore.gating import Gate
from dyncore.network import DynamicNetwork, Subnet
from dyncore.recipes import Annealing, Cosine, Recipe, Steps, find_recipe
from dyncore.training import RunOptions
from dyncore.training import _trainer as trainer_module

RECIPES = (
    "static-resnet20-digits",
    "nested-resnet20-digits",
    "vanilla-resnet20-digits-b0.5",
    "rdinet-resnet20-digits-b0.6",
    "cdb-resnet20-n2-digits-b0.6",
    "dmnn-resnet20-n2-digits-b0.6",
    "spnet-resnet20-digits-b0.6",
    "lcnet-resnet20-digits-b0.6",
    "dmnn-resnet20-n2-digits-b0.6-relational-slow-progress",
)
BATCH = 24
STEPS_PER_EPOCH = 59
ACCUMULATE = 3
"""Micro-batches of a further run of the first recipe."""
STEPS = 20
"""Of which the first 6 are a warm-up, where the recipe has one."""


@dataclass(frozen=True)
class InFloat64:
    """A loader whose images are in float64."""

    loader: Loader
    batches: int | None = None
    """How many of an epoch are read; None: all."""

    @property
    def steps_per_epoch(self) -> int:
        return self.loader.steps_per_epoch

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        for batch in islice(self.loader.epoch(epoch, start_step), self.batches):
            yield replace(batch, images=batch.images.double())


def small(name: str) -> Recipe:
    """The recipe on a small network, for 20 steps: its phases one after the other."""
    recipe = find_recipe(name)
    backbone = recipe.network.backbone
    assert isinstance(backbone, ResNetConfig)
    tiny = replace(backbone, depths=(1, 1, 1), widths=(4, 6, 8))
    nested = recipe.network.nested and (Subnet(blocks=(0, 1)),)
    *first, last = recipe.phases
    phases = [replace(phase, epochs=6 / STEPS_PER_EPOCH) for phase in first]
    left = (STEPS - 6 * len(first)) / STEPS_PER_EPOCH
    schedule = Steps(milestones=(left / 2,)) if name.startswith("static") else Cosine()
    phases.append(replace(last, epochs=left, schedule=schedule, annealing=Annealing()))
    return replace(
        recipe,
        network=replace(recipe.network, backbone=tiny, nested=nested),
        phases=tuple(phases),
        batch_size=BATCH,
    )


def freeze(module: nn.Module) -> None:
    """Let norms use their running statistics, whatever mode they are put into."""
    for norm in module.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
            norm.eval()
            norm.train = lambda mode=True: None


@torch.no_grad()
def spread(model: DynamicNetwork, images: Tensor) -> None:
    """Let the gates decide differently for different images, as they do after training.

    Shares of a batch whose statistics are the same would not tell them from those of the batch.
    """

    def standardise(gate: Gate, arguments: tuple[Tensor, Tensor | None]) -> None:
        scores = F.linear(arguments[0], gate.head.weight)
        deviation = scores.std(0)
        scale = torch.where(deviation > 1e-6, deviation, 1)
        gate.head.weight /= scale[:, None]
        gate.head.bias.copy_(-scores.mean(0) / scale)

    hooks = [gate.register_forward_pre_hook(standardise) for gate in model.gates.values()]
    model(images)
    for hook in hooks:
        hook.remove()


def run(name: str, options: RunOptions) -> None:
    """Train one recipe."""
    trainer = trainer_module.Trainer(small(name), options)
    freeze(trainer.step_module)
    trainer.step_module.double()
    some = trainer.dataset.test.images[:64].double() / 255
    spread(trainer.model, trainer.dataset.preprocessing.normalize(some))
    trainer.train_loader = InFloat64(trainer.train_loader)
    trainer.test_loader = InFloat64(trainer.test_loader, 1)
    trainer.accelerator.end_training = lambda: None  # the processes go on with the next recipe
    trainer.run()


def main(output: str) -> None:
    """Train all recipes, with a row of metrics per step."""
    trainer_module.DISPLAY_EVERY = 1
    for name in RECIPES:
        run(name, RunOptions(output=output, keep_checkpoints=9))
    run(RECIPES[0], RunOptions(output=f"{output}/accumulated", accumulate=ACCUMULATE))
    PartialState().destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
