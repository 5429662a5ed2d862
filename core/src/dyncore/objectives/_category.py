"""The category loss: what every router should know of the image (CDB 3.2.2, DMNN 3.2)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dyncore.cost import CostTable
from dyncore.data import Batch, superclasses
from dyncore.network import DynamicNetwork, Output
from dyncore.objectives._checks import check_weight
from dyncore.objectives._part import ObjectiveConfig, ObjectivePart

Categories = Literal["classes", "cifar10-superclasses", "cifar100-superclasses", "imagenet-58"]

LAST_STAGE = 0.1
"""Weight α_l of the blocks of the last stage."""
PER_STAGE = 0.1
"""What it is multiplied by per earlier stage: 1e-4, 1e-3, 1e-2, 1e-1 in ResNet-50."""


def category_loss(
    logits: Float[Tensor, "block batch category"],
    category: Int[Tensor, "batch"],
    weights: Float[Tensor, "block"],
) -> Float[Tensor, ""]:
    """``Σ_l α_l L_l`` with L_l the cross-entropy of block l, mean over the batch.

    CDB Eq. 7–8, DMNN Eq. 9–10, with the minus sign that the papers leave out.
    """
    blocks, batch, _ = logits.shape
    losses = F.cross_entropy(logits.flatten(0, 1), category.repeat(blocks), reduction="none")
    return losses.unflatten(0, (blocks, batch)).mean(1) @ weights.to(losses.dtype)


class Category(ObjectivePart):
    """A linear head on the feature of every router, and the category loss of their logits.

    The heads are here and not in the network: nothing of them is in a saved model.
    """

    category_of: Tensor
    weights: Tensor

    def __init__(
        self,
        features: dict[int, int],
        weights: list[float],
        category_of: tuple[int, ...],
        weight: float,
    ) -> None:
        """``features`` are the widths of the routers' features by the block's index."""
        super().__init__()
        categories = max(category_of) + 1
        self.heads = nn.ModuleDict(
            {str(block): nn.Linear(width, categories) for block, width in features.items()}
        )
        self.register_buffer("category_of", torch.tensor(category_of), persistent=False)
        self.register_buffer("weights", torch.tensor(weights), persistent=False)
        self.weight = weight

    def forward(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """The term ``category``; ValueError for forced paths, of which no router has features."""
        logits = []
        for block, head in self.heads.items():
            feature = output.router_features[int(block)]
            if feature is None:
                raise ValueError(
                    "the category loss needs routers that run: leave its part out of the "
                    "objective of a phase with forced paths"
                )
            logits.append(head(feature))
        loss = category_loss(torch.stack(logits), self.category_of[batch.labels], self.weights)
        return {"category": self.weight * loss}


@dataclass(frozen=True, kw_only=True)
class CategoryLossConfig(ObjectiveConfig):
    """Let every router tell categories of images apart (the papers' CS and CAT)."""

    name: ClassVar[str] = "category"
    categories: Categories = "classes"
    """What is told apart: the classes themselves, or the superclasses of this name."""
    weight: float = 1.0
    """Weight of the term (α₁)."""

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)

    def build(self, model: DynamicNetwork, table: CostTable) -> Category:
        """Heads for ``model``'s routers.

        Raises ValueError for a network without routers, and for superclasses of another number of
        classes.
        """
        classes = model.config.num_classes
        category_of = tuple(range(classes))
        if self.categories != "classes":
            category_of = superclasses(self.categories)
        if len(category_of) != classes:
            raise ValueError(
                f"categories={self.categories!r} is for {len(category_of)} classes, but the "
                f"network has {classes}: choose another, or 'classes'"
            )
        if not model.routers:
            raise ValueError("the category loss needs a network with routers, not a static one")
        stages = model.backbone.stages
        features = {s.index: s.router.out_features for s in model.sites if s.router is not None}
        weights = [LAST_STAGE * PER_STAGE ** (stages[-1] - stages[block]) for block in features]
        return Category(features, weights, category_of, self.weight)
