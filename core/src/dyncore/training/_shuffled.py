"""What choosing by image is worth."""

from collections.abc import Iterable

import torch

from dyncore.data import Batch, Preprocessing
from dyncore.network import DynamicNetwork


@torch.no_grad()
def shuffled_accuracy(
    model: DynamicNetwork, batches: Iterable[Batch], preprocessing: Preprocessing
) -> float:
    """Accuracy, in 0 … 1, where each image takes the hard path of the one before it in its batch.

    Rates and costs stay; what is lost is what the choice by image gained. The images of a batch
    should be drawn at random: in a split that is sorted by class neighbours are alike. The model is
    put into evaluation mode and left there.
    """
    model.eval()
    right = images = 0
    for batch in batches:
        x = preprocessing.normalize(batch.images)
        order = torch.arange(len(x), device=x.device).roll(1)
        path = model(x).path.images(order)
        right += int((model(x, path=path).logits.argmax(1) == batch.labels).sum())
        images += len(x)
    return right / images
