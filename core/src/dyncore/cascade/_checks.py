"""Images that a cascade can be asked about, and logits that it can judge."""

import math

from jaxtyping import Float, Int
from torch import Tensor

from dyncore.cascade._quiet import extremes


def check_images(images: Tensor) -> None:
    """Raise ValueError for what is no batch of square images in [0, 1]."""
    if images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise ValueError(
            f"images have shape {tuple(images.shape)}, expected (batch, 3, size, size): cut "
            "them to squares first, e.g. with dyncore.transforms(cascade)"
        )
    if len(images):
        least, greatest = extremes(images)
        if not (least >= 0 and greatest <= 1):
            raise ValueError(
                f"images are in [{least:.3g}, {greatest:.3g}], expected [0, 1]: "
                "a cascade's members normalise them, each in its own way"
            )


def check_logits(
    name: str,
    logits: Float[Tensor, "..."],
    expected: tuple[int, int],
    rows: Int[Tensor, "batch"] | None,
) -> None:
    """Raise ValueError for another shape than expected, and for NaN and infinity, by image.

    ``rows`` are the images' numbers in the batch; None: all of it, in order.
    """
    if logits.shape != expected:
        raise ValueError(
            f"{name} answers with shape {tuple(logits.shape)}, expected {expected}: one row per "
            "image, one logit per class"
        )
    if math.isfinite(logits.sum()):
        return
    wrong = (~logits.isfinite().all(1)).nonzero()[:, 0]  # none: the sum alone was too large
    numbers = (wrong if rows is None else rows[wrong]).tolist()
    if numbers:
        raise ValueError(
            f"{name} answers NaN or infinity for image {', '.join(map(str, numbers[:8]))} of the "
            "batch: look at the image and at the member's weights"
        )
