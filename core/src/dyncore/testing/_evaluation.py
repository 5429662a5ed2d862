"""Evaluation depends on the image and on the weights, and on nothing else."""

from pathlib import Path

import torch

from dyncore.testing._build import eval_images, eval_network
from dyncore.testing._case import Case
from dyncore.testing._compare import expect_same_answer, expect_same_bits


@torch.no_grad()
def check_determinism(case: Case, folder: Path) -> None:
    """Evaluation gives the same bits twice, draws nothing at random and changes no state."""
    model, images = eval_network(case), eval_images(case)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = model(images)
        torch.manual_seed(1)
        model(images.flip(0) / 2)
        second = model(images)
    expect_same_bits(
        second,
        first,
        f"{case}: two evaluations of the same images (is there noise, or a memory of other "
        "images, in evaluation?)",
    )
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, state[name]):
            raise AssertionError(f"{case}: evaluation changed {name}")


@torch.no_grad()
def check_batch_mates(case: Case, folder: Path) -> None:
    """An image's decisions and logits do not depend on the other images of its batch."""
    model, images = eval_network(case), eval_images(case)
    together = model(images)
    for mates in [torch.tensor([image]) for image in range(len(images))] + [
        torch.arange(len(images)).flip(0),
        torch.arange(0, len(images), 3),
    ]:
        expected = type(together)(together.logits[mates], together.path.images(mates), [], [])
        what = f"{case}: images {mates.tolist()} of {len(images)} in a batch of their own"
        expect_same_answer(model(images[mates]), expected, what)
