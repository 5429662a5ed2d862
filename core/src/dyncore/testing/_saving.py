"""A saved model is the model."""

from pathlib import Path

import torch

from dyncore.network import from_pretrained
from dyncore.testing._build import eval_images, eval_network
from dyncore.testing._case import Case
from dyncore.testing._compare import expect_same_bits


@torch.no_grad()
def check_saving(case: Case, folder: Path) -> None:
    """Saved and loaded, configuration, weights and outputs are the same, to the bit."""
    model, images = eval_network(case).float(), eval_images(case).float()
    model.save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)  # what is drawn when a model is built is another in the loaded one
        loaded = from_pretrained(folder)
    for name in ("config", "info"):
        saved, found = getattr(model, name), getattr(loaded, name)
        if saved != found:
            raise AssertionError(f"{case}: the {name} was {saved}, and is {found} after loading")
    weights = loaded.state_dict()
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, weights[name]):
            raise AssertionError(f"{case}: {name} changed when it was saved and loaded")
    expect_same_bits(
        loaded(images),
        model(images),
        f"{case}: outputs after loading (is something that matters not in the state_dict?)",
    )
