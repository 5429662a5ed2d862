"""Evaluation depends on the image and on the weights, and on nothing else."""

from pathlib import Path

import torch

from dyncore.network import Output
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
        first, second = model(images), model(images)
        model(images.flip(0) / 2)
        third = model(images)
    what = f"{case}: two evaluations of the same images"
    hint = "(is there noise, or a memory of other images, in evaluation?)"
    expect_same_bits(second, first, f"{what} {hint}")
    expect_same_bits(third, first, f"{what}, with others in between {hint}")
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, state[name]):
            raise AssertionError(f"{case}: evaluation changed {name}")


@torch.no_grad()
def check_batch_mates(case: Case, folder: Path) -> None:
    """An image's decisions and logits do not depend on the other images of its batch."""
    model, images = eval_network(case), eval_images(case)
    together = model(images)
    everyone = list(range(len(images)))
    for mates in [*([image] for image in everyone), everyone[::-1], everyone[::3]]:
        expected = Output(together.logits[mates], together.path.images(torch.tensor(mates)), [], [])
        what = f"{case}: images {mates} of {len(images)} in a batch of their own"
        expect_same_answer(model(images[mates]), expected, what)
