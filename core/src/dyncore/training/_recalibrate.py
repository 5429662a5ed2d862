"""Statistics of norms on the paths that evaluation takes."""

from collections.abc import Iterable

import torch

from dyncore.blocks import Norm
from dyncore.data import Batch, Preprocessing
from dyncore.network import DynamicNetwork


@torch.no_grad()
def recalibrate(
    model: DynamicNetwork, batches: Iterable[Batch], preprocessing: Preprocessing
) -> None:
    """Replace the running statistics of the backbone's norms by the means over ``batches``.

    Decisions are hard and without noise, as in evaluation; what was relaxed or drawn at random in
    training leaves no trace. Each process has its own, as in training. The model is left in
    training mode. (Yu and Huang, "Universally Slimmable Networks", 2019, section 3.4.)
    """
    norms = [module for module in model.backbone.modules() if isinstance(module, Norm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the mean over all batches
    model.eval()  # routers decide as they will
    for norm in norms:
        norm.train()
    for batch in batches:
        model(preprocessing.normalize(batch.images), relaxed=False)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train()
