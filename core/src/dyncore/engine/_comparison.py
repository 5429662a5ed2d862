"""How an engine's answers compare with the model's own, counted over images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dyncore.network import DynamicNetwork, Output


@dataclass(frozen=True)
class Comparison:
    """An engine and the eager model, each against the model in float64.

    A decision differs from that of float64 only where its score is closer to zero than rounding.
    Such an image takes another path; its logits are compared under the path that it took.
    """

    images: int
    other_path: int
    """Images that take another path in the engine than in float64."""
    eager_other_path: int
    """The same of the eager model in the engine's own type."""
    error: float
    """Largest difference of a logit, the engine's."""
    eager_error: float
    """The same of the eager model."""

    def __str__(self) -> str:
        return (
            f"{self.images} images; on another path than in float64: {self.other_path} "
            f"(eager: {self.eager_other_path}); largest error of a logit under the path taken: "
            f"{self.error:.2e} (eager: {self.eager_error:.2e})"
        )


@torch.no_grad()
def compare(
    model: DynamicNetwork, exact: DynamicNetwork, images: Tensor, ours: Output
) -> Comparison:
    """``exact`` is ``model`` in float64; ``ours`` is what an engine gave for ``images``."""
    true = exact(images.double())
    differing, error = _against(true, exact, images, ours)
    eager_differing, eager_error = _against(true, exact, images, model(images))
    return Comparison(len(images), differing, eager_differing, error, eager_error)


def _against(
    true: Output, exact: DynamicNetwork, images: Tensor, output: Output
) -> tuple[int, float]:
    """Images on another path, and the largest error under the path that each one took."""
    other = _decisions(true).ne(_decisions(output)).any(1)
    expected = true.logits.clone()
    if other.any():
        rows = other.nonzero()[:, 0]
        taken = output.path.images(rows).map(_double)
        expected[rows] = exact(images[rows].double(), path=taken).logits
    return int(other.sum()), float((output.logits.double() - expected).abs().max())


def _double(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


def _decisions(output: Output) -> Tensor:
    """Every decision of every image."""
    channels = output.path.channel_on
    return output.path.on if channels is None else torch.cat([output.path.on, channels], dim=1)
