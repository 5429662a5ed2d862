"""Whether an engine that was just built answers as its model does."""

import torch
from torch import Tensor

from dyncore.data import Preprocessing
from dyncore.engine._backend import Backend
from dyncore.engine.plan import agree
from dyncore.gating import ExecutionPath, FrozenGate
from dyncore.network import DynamicNetwork

MIN_DIGITS = 1e-4
"""Types that round more coarsely are not compared: a deep network may amplify it to anything."""


@torch.no_grad()
def check_answer(
    backend: Backend, model: DynamicNetwork, image: Tensor, preprocessing: Preprocessing | None
) -> None:
    """Raise ValueError where ``backend`` gives other logits for ``image`` with every path on.

    It was folded part by part, and each part was compared; this compares the whole, with all that
    stands around the parts: a network, backbone or stage whose class computes more than them.
    """
    if torch.finfo(image.dtype).eps > MIN_DIGITS:
        return
    given = image if preprocessing is None else preprocessing.normalize(image)
    path = _everything(model, given)
    expected = model(given, path=path).logits
    (ours,) = (part.logits for part in backend(image, path))
    if expected.isfinite().all() and not agree(ours, expected):
        difference = float((ours - expected).abs().max() / expected.abs().max())
        raise ValueError(
            f"the engine's logits differ from the model's by {difference:.1%} of the largest one, "
            "with every path on: something around its blocks computes more than they do, e.g. a "
            "forward of its own of the network, its backbone or a stage. Move it before or behind "
            "the network, or run the model itself"
        )


def _everything(model: DynamicNetwork, image: Tensor) -> ExecutionPath:
    """Every path and channel on, but for what is fixed."""
    decided = model(image).path
    return ExecutionPath(
        decision if isinstance(site.gate, FrozenGate) else decision.all_on
        for site, decision in zip(model.sites, decided, strict=True)
    )
