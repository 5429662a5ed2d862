"""The Sample Relation Module: similar images should take similar paths (section 3.3)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dyncore.cost import CostTable, global_batch
from dyncore.data import Batch
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives import ObjectiveConfig, ObjectivePart

Reduction = Literal["mean", "sum"]


@torch.no_grad()
def image_histogram(
    images: Float[Tensor, "batch channel height width"], bins: int = 32, *, padding: bool = True
) -> Float[Tensor, "batch feature"]:
    """The share of each image's pixels in each of ``bins`` equal bins over [0, 1], per channel.

    H(·) of Eq. 10. The features are channel × bins; a channel's bins sum to 1. A bin includes its
    left edge, the last one also the value 1. Without ``padding`` the black margin, with which an
    augmentation pads, is left out: pixels count that lie in the smallest rectangle around all that
    is not black; in an image that is black all over, every pixel.
    """
    values = images.flatten(2)
    bin_of = (values * bins).long().clamp_(0, bins - 1)
    counts = values.new_zeros(*values.shape[:2], bins)
    if padding:
        counted = values.new_ones(()).expand_as(bin_of)
    else:
        counted = _inside(images).flatten(1).to(values.dtype)[:, None].expand_as(bin_of)
    counts.scatter_add_(2, bin_of, counted)
    return (counts / counts.sum(2, keepdim=True)).flatten(1)


def _inside(images: Float[Tensor, "batch channel height width"]) -> Bool[Tensor, "batch row col"]:
    """The pixels of the smallest rectangle around all that is not black."""
    bright = (images > 0).any(1)
    rows, columns = _between(bright.any(2)), _between(bright.any(1))
    inside = rows[:, :, None] & columns[:, None, :]
    return inside | ~bright.any((1, 2))[:, None, None]


def _between(marked: Bool[Tensor, "batch place"]) -> Bool[Tensor, "batch place"]:
    """From the first marked place to the last."""
    after = marked.cumsum(1) > 0
    before = marked.flip(1).cumsum(1).flip(1) > 0
    return after & before


def ranking_loss(
    weights: Float[Tensor, "batch block"],
    features: Float[Tensor, "batch feature"],
    *,
    margin: float,
    near_tie: float = 0.001,
    reduction: Reduction = "mean",
) -> Float[Tensor, ""]:
    """The ranking of distances between paths should follow that between images (Eq. 10–12).

    For an image i and each two neighbours p, q in the order of their feature distance to i, p the
    nearer one: ``relu(‖P_i − P_p‖ − ‖P_i − P_q‖ + margin)``, P the rows of ``weights``. Triplets
    whose two feature distances differ by no more than the share ``near_tie`` of their mean are
    left out. ``reduction`` is the mean over the other triplets, or the printed sum. Zero, with
    zero gradient, where there is no triplet; identical paths give no gradient either.
    """
    distances = _distances(features).fill_diagonal_(-1)
    ranked, order = distances.sort(dim=1, stable=True)
    ranked, order = ranked[:, 1:], order[:, 1:]  # -1 ranks the image itself first
    near, far = ranked[:, :-1], ranked[:, 1:]
    valid = far - near > near_tie * (near + far) / 2
    apart = _distances(weights).gather(1, order)
    hinge = (apart[:, :-1] - apart[:, 1:] + margin).relu()
    total = torch.where(valid, hinge, 0).sum()
    return total if reduction == "sum" else total / valid.sum().clamp(min=1)


def _distances(x: Float[Tensor, "row column"]) -> Float[Tensor, "row row"]:
    """L2 distances, exactly 0 between equal rows; their gradient there is 0."""
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


class Ranking(ObjectivePart):
    """α · L_rank over the global batch, on histograms of the images as they are trained on."""

    def __init__(self, config: "RankingConfig") -> None:
        super().__init__()
        self.config = config

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The term ``rank``; reads the relaxed weights and the images in [0, 1]."""
        config = self.config
        loss = ranking_loss(
            # A block that is not gated weighs 1 for every image: it changes no distance.
            global_batch(output.path.weight),
            global_batch(image_histogram(batch.images, config.bins, padding=config.padding)),
            margin=config.margin,
            near_tie=config.near_tie,
            reduction=config.reduction,
        )
        return {"rank": config.weight * loss}


@dataclass(frozen=True, kw_only=True)
class RankingConfig(ObjectiveConfig):
    """Let similar images take similar execution paths."""

    name: ClassVar[str] = "ranking"
    weight: float = 0.2
    """Weight α of the term."""
    margin: float = 0.5
    """Margin φ between the path distances of two neighbours in the ranking."""
    bins: int = 32
    """Bins of the histogram of each colour channel."""
    padding: bool = False
    """Histograms count the black margin, too, with which augmentations pad."""
    near_tie: float = 0.001
    """Two distances that differ by no more than this share of their mean have no order. "About the
    same" is all that is printed; of the neighbours in a batch of 256 of CIFAR-10, this leaves out
    one in four."""
    reduction: Reduction = "mean"
    """Mean over the triplets that count, or the printed sum."""

    def __post_init__(self) -> None:
        for field in ("weight", "margin"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{field} must be finite and not negative, not {value}")
        if self.bins < 1:
            raise ValueError(f"bins must be at least 1, not {self.bins}")
        if not 0 <= self.near_tie < 2:
            raise ValueError(f"near_tie must be in [0, 2), not {self.near_tie}")

    def build(self, model: DynamicNetwork, table: CostTable) -> Ranking:
        """The part; it depends on neither model nor costs."""
        return Ranking(self)
